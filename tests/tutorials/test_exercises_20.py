"""A worked solution of exercise 20 passes; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest

from tinyres.exercises import exercise


def gain(a, b):
    return (a - b).mean(), (a - b).std(ddof=1) / np.sqrt(len(a))


def by_sums(a, b):
    n, d = len(a), [x - y for x, y in zip(a, b, strict=True)]
    mean = sum(d) / n
    return [mean, (sum((x - mean) ** 2 for x in d) / (n - 1) / n) ** 0.5]


@pytest.mark.parametrize("answer", [gain, by_sums, lambda a, b: np.array(gain(a, b))])
def test_20_worked(answer):
    exercise("20", answer)


def test_what_is_no_answer_is_told():
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise("20", 0.5)
    with pytest.raises(AssertionError, match="end in a return"):
        exercise("20", lambda a, b: None)
    with pytest.raises(AssertionError, match=r"two numbers .* got shape \(\)"):
        exercise("20", lambda a, b: gain(a, b)[0])
    with pytest.raises(AssertionError, match=r"two numbers .* got shape \(3,\)"):
        exercise("20", lambda a, b: (*gain(a, b), 0.0))


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda a, b: gain(b, a), "sign is turned"),
        (lambda a, b: ((a - b).sum(), gain(a, b)[1]), "sum over seeds"),
        (lambda a, b: (np.median(a - b), gain(a, b)[1]), "median"),
        (lambda a, b: (np.nan, gain(a, b)[1]), "Subtract seed by seed"),
        (lambda a, b: (gain(a, b)[0], np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))), "other seeds in each group"),
        (lambda a, b: (gain(a, b)[0], (a - b).std() / np.sqrt(len(a))), "ddof=1"),
        (lambda a, b: (gain(a, b)[0], (a - b).std(ddof=1)), "spread of one difference. The mean"),
        (lambda a, b: (gain(a, b)[0], (a - b).std()), "in place of n - 1"),
        (lambda a, b: (gain(a, b)[0], gain(a, b)[1] ** 2), "take its root"),
        (lambda a, b: (gain(a, b)[0], (a - b).std(ddof=1) / len(a)), "not with n"),
        (lambda a, b: (gain(a, b)[0], 7.0), "with n - 1, over sqrt"),
        (lambda a, b: (gain(a, b)[0], np.nan), "with n - 1, over sqrt"),
    ],
)
def test_20_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("20", mistake)
