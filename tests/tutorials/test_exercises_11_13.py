"""Worked solutions of exercises 11 to 13 pass; the usual mistakes are refused with the hint that names them."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan
from tinyres.exercises import ex11, exercise


@pytest.mark.parametrize("number", ["11", "12", "13"])
def test_what_is_no_function_is_told(number):
    with pytest.raises(AssertionError, match=r"must be a function.*float"):
        exercise(number, 0.5)


@pytest.mark.parametrize("number", ["11", "12", "13"])
def test_a_forgotten_return_is_told(number):
    with pytest.raises(AssertionError, match="end in a return"):
        exercise(number, lambda *arguments: None)


# -- 11: two gradients ------------------------------------------------------------------------------------------------
def sigma(x):
    return 1 / (1 + np.exp(-x))


def moves(theta, psi, c):
    return psi * sigma(-psi * theta), c * sigma(-psi * c) - theta * sigma(psi * theta)


def by_autograd(theta, psi, c):
    t, p = (tr.tensor(np.array(x), requires_grad=True) for x in (theta, psi))
    (for_t,) = tr.grad(tr.softplus(-p * t), t)
    (for_p,) = tr.grad(tr.softplus(-p * c) + tr.softplus(p * t), p)
    return [-for_t.item(), -for_p.item()]


@pytest.mark.parametrize("answer", [moves, by_autograd, lambda *point: np.array(moves(*point))])
def test_11_worked(answer):
    exercise("11", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda t, p, c: (-moves(t, p, c)[0], -moves(t, p, c)[1]), "theta moves by .* uphill"),
        (lambda t, p, c: (moves(t, p, c)[0], -moves(t, p, c)[1]), "psi moves by .* uphill"),
        (lambda t, p, c: moves(t, p, c)[::-1], "swapped"),
        (lambda t, p, c: (p * sigma(p * t), moves(t, p, c)[1]), "saturating game"),
        (lambda t, p, c: (-p * sigma(p * t), moves(t, p, c)[1]), "going down D's loss"),
        (lambda t, p, c: (sigma(-p * t), moves(t, p, c)[1]), "multiply by psi"),
        (lambda t, p, c: (p * sigma(-p * (t - c)), moves(t, p, c)[1]), "Only D's loss contains c"),
        (lambda t, p, c: (moves(t, p, c)[0], -t * sigma(p * t)), "the data at c push it, too"),
        (lambda t, p, c: (moves(t, p, c)[0], c * sigma(-p * c)), "the fake pushes it, too"),
        (lambda t, p, c: (moves(t, p, c)[0], c * sigma(-p * c) + t * sigma(p * t)), "real up, fake down"),
        (lambda t, p, c: (moves(t, p, c)[0], t * sigma(-p * t)), "not G's"),
        (lambda t, p, c: (moves(t, p, c)[0], sigma(-p * c) - sigma(p * t)), "c and theta"),
        (lambda t, p, c: (moves(t, p, c)[0] + 0.1, 0.0), "by the chain rule"),
        (lambda t, p, c: (moves(t, p, c)[0], np.nan), "psi moves by nan"),
        (lambda t, p, c: moves(t, p, c)[0], "two numbers are needed"),
        (lambda t, p, c: (*moves(t, p, c), 0.0), "two numbers are needed"),
    ],
)
def test_11_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("11", mistake)


def test_11_is_what_autograd_finds():
    for point in ex11.POINTS:
        np.testing.assert_allclose(ex11._moves(*point), by_autograd(*point), rtol=1e-12)


# -- 12: a slope in a loss --------------------------------------------------------------------------------------------
def squared_slopes(critic, x, create_graph=True, reduce=tr.sum):
    samples = tr.tensor(x, requires_grad=True)
    (gradient,) = tr.grad(reduce(critic(samples)), samples, create_graph=create_graph)
    return (gradient * gradient).sum(axis=1)


def one_sided(critic, x, **how):
    return (tr.relu(tr.sqrt(squared_slopes(critic, x, **how)) - 1) ** 2).mean()


def by_the_library(critic, x):
    return gan.gradient_penalty(critic, x, x, np.random.default_rng(0), one_sided=True)


def sample_by_sample(critic, x):
    return sum(one_sided(critic, row[None]) for row in x) / len(x)


@pytest.mark.parametrize("answer", [one_sided, by_the_library, sample_by_sample])
def test_12_worked(answer):
    exercise("12", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda f, x: one_sided(f, x, create_graph=False), "has no gradient with respect to .*create_graph=True"),
        (lambda f, x: one_sided(f, x).item(), "it is a float: a tensor is needed"),
        (lambda f, x: one_sided(f, x).detach() + 0 * f(tr.tensor(x)).sum(), "but not its gradient"),
        (lambda f, x: one_sided(f, x).detach() + tr.tensor(np.zeros(()), requires_grad=True), "not its gradient"),
        (lambda f, x: one_sided(f, x, reduce=tr.mean), "N times too small"),
        (lambda f, x: ((tr.sqrt(squared_slopes(f, x)) - 1) ** 2).mean(), "two-sided"),
        (lambda f, x: one_sided(f, x) * len(x), "take the mean"),
        (lambda f, x: tr.relu(tr.sqrt(squared_slopes(f, x)) - 1).mean(), "square is missing"),
        (lambda f, x: (tr.relu(squared_slopes(f, x) - 1) ** 2).mean(), "the root is missing"),
        (lambda f, x: tr.relu(tr.sqrt(squared_slopes(f, x).sum()) - 1) ** 2, "whole batch"),
        (lambda f, x: tr.relu(tr.sqrt(squared_slopes(f, x)).mean() - 1) ** 2, "averaged first"),
        (lambda f, x: one_sided(f, x) + 1, "its length is a sum over that row"),
        (lambda f, x: one_sided(f, x) * np.nan, "came out as nan"),
        (lambda f, x: tr.relu(tr.sqrt(squared_slopes(f, x)) - 1) ** 2, r"got shape \(12,\)"),
    ],
)  # fmt: skip
def test_12_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("12", mistake)


# -- 13: forged -------------------------------------------------------------------------------------------------------
def forge(real):
    return np.random.default_rng(0).multivariate_normal(real.mean(axis=0), np.cov(real.T), len(real))


def between_the_modes(real):
    """A ring again, turned by half a mode, where no mode of the real one is."""
    root = np.linalg.cholesky(np.cov(real.T))
    angles = 2 * np.pi * (np.arange(len(real)) + 0.5) / 8
    circle = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    unit = (real - real.mean(axis=0)) @ np.linalg.inv(root).T
    corner = np.arctan2(*unit[0][::-1])
    turn = np.array([[np.cos(corner), -np.sin(corner)], [np.sin(corner), np.cos(corner)]])
    return real.mean(axis=0) + circle @ turn.T @ root.T


@pytest.mark.parametrize("answer", [forge, between_the_modes, lambda real: forge(real).astype("float32")])
def test_13_worked(answer):
    exercise("13", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda real: real, "those are good fakes"),
        (lambda real: real[::-1].copy(), "those are good fakes"),
        (lambda real: np.repeat(real.mean(axis=0)[None], len(real), axis=0), "Their variances are"),
        (lambda real: np.random.default_rng(0).standard_normal(real.shape), "Their variances are"),
        (lambda real: forge(real) + 0.5, "Their mean is"),
        (lambda real: forge(real) - real.mean(axis=0), "Their mean is"),
        (lambda real: real.mean(axis=0) + real.std(axis=0) * np.random.default_rng(0).standard_normal(real.shape),
         "the covariance of x and y is"),
        (lambda real: forge(real)[:10], "as many fakes"),
        (lambda real: forge(real) * np.nan, "not finite"),
    ],
)  # fmt: skip
def test_13_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("13", mistake)
