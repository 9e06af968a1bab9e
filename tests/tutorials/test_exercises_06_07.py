"""Worked solutions of exercises 06 and 07 pass; the usual mistakes are refused with the hint that names them."""

import math
from itertools import product

import numpy as np
import pytest

from tinyres.exercises import exercise

NUMBERS = ["06", "07", "08", "09", "10"]


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_no_function_is_told(number):
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise(number, 0.5)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_function_that_returns_nothing_is_told(number):
    with pytest.raises(AssertionError, match="end in a return"):
        exercise(number, lambda *arguments: None)


@pytest.mark.parametrize(("number", "arguments"), [("06", 2), ("07", 1), ("08", 3), ("09", 2), ("10", 2)])
def test_a_wrong_shape_is_told(number, arguments):
    with pytest.raises(AssertionError, match=r"shape \(7,\)"):
        exercise(number, lambda *given: np.ones(7) if len(given) == arguments else None)


# -- 06: the variance that keeps the gradient -------------------------------------------------------------------------
def variance(a, p):
    return 2 * p / (1 + a * a)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda a, p: math.sqrt(variance(a, p)), "standard deviation"),
        (lambda a, p: 1.0, "half of a ReLU's units"),
        (lambda a, p: 1 / variance(a, p), "have to undo it"),
        (lambda a, p: 2 * p, "The half with slope a"),
        (lambda a, p: 2 * p / (1 + abs(a)), "slope a contributes a²"),
        (lambda a, p: 2 / (1 + a * a), "a share p of the units has slope 1/p"),
        (lambda a, p: 2 * p * p / (1 + a * a), "only a share p of the units"),
        (lambda a, p: 2 / p / (1 + a * a), "the weights shrink"),
        (lambda a, p: 3 * variance(a, p), r"40 layers multiply the squared gradient by 1.2e\+19"),
        (lambda a, p: -1.0, "pass no gradient on"),
        (lambda a, p: math.nan, "pass no gradient on"),
    ],
)
def test_06_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=f"(?i){hint}"):
        exercise("06", mistake)


def test_06_worked():
    exercise("06", variance)
    exercise("06", lambda a, p: np.array(1 / np.mean([1 / p, a * a / p])))


def test_06_is_what_a_net_does():
    import tinyres as tr

    rng, a, p, n = np.random.default_rng(0), 0.5, 0.8, 512
    x = tr.tensor(rng.standard_normal((64, n)), requires_grad=True)
    h = x
    for _ in range(5):
        kept = (rng.random((64, n)) < p) / p
        h = (tr.maximum(h, a * h) * kept) @ rng.standard_normal((n, n)) * math.sqrt(variance(a, p) / n)
    g = rng.standard_normal(h.shape)
    (back,) = tr.grad(h, x, g)
    assert (back.numpy() ** 2).sum() / (g**2).sum() == pytest.approx(1, abs=0.1)


# -- 07: shares of the path lengths -----------------------------------------------------------------------------------
def shares(gains):
    found = np.ones(1)
    for r in gains:
        found = np.convolve(found, [1, r]) / (1 + r)
    return found


def one_by_one(gains):
    """Another right way: all 2^L paths."""
    found = [0.0] * (len(gains) + 1)
    for path in product([0, 1], repeat=len(gains)):
        found[sum(path)] += math.prod(r for r, taken in zip(gains, path, strict=True) if taken)
    return [share / sum(found) for share in found]


def unnormalised(gains):
    return shares(gains) * math.prod(1 + r for r in gains)


def binomial(gains):
    return [math.comb(len(gains), k) / 2 ** len(gains) for k in range(len(gains) + 1)]


def in_order(gains):
    energies = np.cumprod([1.0, *gains])
    return energies / energies.sum()


@pytest.mark.parametrize("answer", [shares, one_by_one])
def test_07_worked(answer):
    exercise("07", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (unnormalised, "divide by their sum"),
        (binomial, "number of paths; each carries"),
        (lambda gains: np.array(binomial(gains)) * 2 ** len(gains), "number of paths; each carries"),
        (lambda gains: shares(gains)[::-1], "order is reversed"),
        (lambda gains: shares(np.sqrt(gains)), "take no root"),
        (lambda gains: shares([np.mean(gains)] * len(gains)), "each block has its own"),
        (in_order, "one path of each length"),
        (lambda gains: shares(gains)[1:], "numbers are needed, for 0 to"),
        (lambda gains: shares([r + 1 for r in gains]), "Multiply out"),
    ],
)
def test_07_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("07", mistake)


def test_07_is_the_theory_of_the_instrument():
    from tinyres.flow.theory.path_lengths import poisson_binomial

    gains = np.random.default_rng(0).random(54)
    np.testing.assert_allclose(shares(gains), poisson_binomial(gains), rtol=1e-12)
