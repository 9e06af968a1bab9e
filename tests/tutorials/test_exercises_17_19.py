"""Worked solutions of exercises 17 to 19 pass; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest

from tinyres.exercises import exercise


@pytest.mark.parametrize("number", ["17", "18", "19"])
def test_what_is_no_answer_is_told(number):
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise(number, 0.5)
    with pytest.raises(AssertionError, match="end in a return"):
        exercise(number, lambda *arguments: None)
    with pytest.raises(AssertionError, match=r"shape \(7,\)"):
        exercise(number, lambda *arguments: np.ones(7))


# -- 17: the mean number of branches ----------------------------------------------------------------------------------
def variances(s):
    return 1 + np.cumsum(np.square(s))


def test_17_worked():
    exercise("17", lambda s: float((np.square(s) / variances(s)).sum()))


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda s: (np.square(s) / (variances(s) - np.square(s))).sum(), "That is the sum of r"),
        (lambda s: (np.square(s) / (1 + np.square(s))).sum(), "That is post-LN"),
        (lambda s: (np.asarray(s) / (1 + np.cumsum(s))).sum(), "not with s"),
        (lambda s: len(s) / 2, "half of the blocks"),
        (lambda s: 7.0, "The stream enters block l"),
        (lambda s: np.nan, "The stream enters block l"),
    ],
)
def test_17_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("17", mistake)


# -- 18: telling tokens apart -----------------------------------------------------------------------------------------
def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def apart(x):
    u = unit(x)
    return ((u - u.mean(axis=0)) ** 2).sum() / (len(x) - 1)


def naive(x):
    u = unit(x)
    return 1 - ((u @ u.T).sum() - len(x)) / (len(x) * (len(x) - 1))


def test_18_worked():
    exercise("18", apart)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (naive, "has lost its digits"),
        (lambda x: apart(x) * (len(x) - 1) / len(x), "A token and itself are no pair"),
        (lambda x: 2 * apart(x), "halve it"),
        (lambda x: 1 - apart(x), "return 1 minus it"),
        (lambda x: 1 - (np.corrcoef(x).sum() - len(x)) / (len(x) * (len(x) - 1)), "takes no mean off"),
        (lambda x: ((x - x.mean(axis=0)) ** 2).sum() / (len(x) - 1), "Scale each token"),
        (lambda x: 5.0, "half of the squared distance"),
    ],
)
def test_18_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("18", mistake)


# -- 19: Sinkhorn without overflow ------------------------------------------------------------------------------------
def sinkhorn(logits, iterations):
    m = np.exp(logits - logits.max(axis=1, keepdims=True))
    for _ in range(iterations):
        m = m / m.sum(axis=1, keepdims=True)
        m = m / m.sum(axis=0, keepdims=True)
    return m


def in_logarithms(x, iterations):
    for _ in range(iterations):
        for axis in (0, 1):
            x = x - np.logaddexp.reduce(x, axis=axis, keepdims=True)
    return np.exp(x)


def rows_only(logits, iterations):
    m = np.exp(logits - logits.max(axis=1, keepdims=True))
    return m / m.sum(axis=1, keepdims=True)


def test_19_worked():
    exercise("19", sinkhorn)
    exercise("19", in_logarithms)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda x, n: sinkhorn(x, n) if x.max() < 700 else x * np.nan, "exp overflows beyond 709"),
        (rows_only, "rows sum to 1, but not the columns"),
        (lambda x, n: rows_only(x.T, n).T, "columns sum to 1, but not the rows"),
        (lambda x, n: np.full(x.shape, 1 / len(x)), "mean of all streams"),
        (lambda x, n: sinkhorn(x.T, n), "exchanged"),
        (lambda x, n: sinkhorn(-x, n), "sign of the logits"),
        (lambda x, n: np.exp(x - x.max()), "Neither rows nor columns"),
        (lambda x, n: x, "at least 0"),
        (lambda x, n: np.eye(len(x)), "not of these logits"),
    ],
)
def test_19_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("19", mistake)


def test_19_the_largest_of_all_is_not_enough():
    def by_the_largest(x, n):
        with np.errstate(all="ignore"):
            m = np.exp(x - x.max())
            for _ in range(n):
                m = m / m.sum(axis=1, keepdims=True)
                m = m / m.sum(axis=0, keepdims=True)
        return m

    with pytest.raises(AssertionError, match="each row's largest"):
        exercise("19", by_the_largest)
