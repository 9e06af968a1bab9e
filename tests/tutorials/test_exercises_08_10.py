"""Worked solutions of exercises 08 to 10 pass; the usual mistakes are refused with the hint that names them."""

import math

import numpy as np
import pytest

from tinyres.exercises import exercise


# -- 08: batch norm, backwards ----------------------------------------------------------------------------------------
def parts(x, eps):
    over = 1 / np.sqrt(x.var(axis=0) + eps)
    return (x - x.mean(axis=0)) * over, over


def batch_norm_backward(x, g, eps):
    hat, over = parts(x, eps)
    return over * (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0))


def route_by_route(x, g, eps):
    """Another right way: to x, to the variance and to the mean, as a tape would."""
    n, centred, var = len(x), x - x.mean(axis=0), x.var(axis=0)
    to_var = (g * centred).sum(axis=0) * -0.5 * (var + eps) ** -1.5
    to_centred = g / np.sqrt(var + eps) + to_var * 2 * centred / n
    return to_centred - to_centred.mean(axis=0)


def frozen(x, g, eps):
    return g * parts(x, eps)[1]


def only_the_mean(x, g, eps):
    return (g - g.mean(axis=0)) * parts(x, eps)[1]


def only_the_variance(x, g, eps):
    hat, over = parts(x, eps)
    return (g - hat * (g * hat).mean(axis=0)) * over


def undivided(x, g, eps):
    return batch_norm_backward(x, g, eps) / parts(x, eps)[1]


def by_the_variance(x, g, eps):
    return batch_norm_backward(x, g, eps) * parts(x, eps)[1]


def with_sums(x, g, eps):
    hat, over = parts(x, eps)
    return over * (g - g.sum(axis=0) - hat * (g * hat).sum(axis=0))


def unbiased(x, g, eps):
    over = 1 / np.sqrt(x.var(axis=0, ddof=1) + eps)
    hat = (x - x.mean(axis=0)) * over
    return over * (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0))


def without_eps(x, g, eps):
    return batch_norm_backward(x, g, 0.0)


def eps_in_front_only(x, g, eps):
    hat = parts(x, 0.0)[0]
    return parts(x, eps)[1] * (g - g.mean(axis=0) - hat * (g * hat).mean(axis=0))


def in_place(x, g, eps):
    x -= x.mean(axis=0)
    return batch_norm_backward(x, g, eps)


@pytest.mark.parametrize("answer", [batch_norm_backward, route_by_route])
def test_08_worked(answer):
    exercise("08", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (frozen, "holds the statistics fixed"),
        (only_the_mean, "The variance moves, too"),
        (only_the_variance, "The mean moves, too"),
        (undivided, "division by the standard deviation is missing"),
        (by_the_variance, "divide by the standard deviation"),
        (with_sums, "means are needed"),
        (unbiased, "batch norm divides by N"),
        (without_eps, "eps is missing under the root"),
        (eps_in_front_only, "eps belongs in x̂"),
        (in_place, "x or g was changed"),
        (lambda x, g, eps: -batch_norm_backward(x, g, eps), "Three routes lead"),
        (lambda x, g, eps: np.nan * x, "Three routes lead"),
    ],
)
def test_08_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("08", mistake)


def test_08_is_what_the_library_does():
    import tinyres as tr

    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 9, 4))
    leaf = tr.tensor(x, requires_grad=True)
    (found,) = tr.grad(tr.batch_norm(leaf, eps=0.01), leaf, g)
    np.testing.assert_allclose(found.numpy(), batch_norm_backward(x, g, 0.01), rtol=1e-9, atol=1e-12)


# -- 09: the bias of a gate -------------------------------------------------------------------------------------------
def closed_gate(gain):
    return (1 - math.sqrt(2 * gain - 1)) / 2


def logit(t):
    return math.log(t / (1 - t))


def bias(layers, kept):
    return logit(closed_gate(kept ** (2 / layers)))


def by_halving(layers, kept):
    """Another right way: no formula for T."""
    low, high = -40.0, 0.0
    for _ in range(100):
        middle = (low + high) / 2
        t = 1 / (1 + math.exp(-middle))
        low, high = (middle, high) if ((1 - t) ** 2 + t**2) ** (layers / 2) > kept else (low, middle)
    return high


@pytest.mark.parametrize("answer", [bias, by_halving])
def test_09_worked(answer):
    exercise("09", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda layers, kept: logit(closed_gate(kept ** (1 / layers))), "of the squared length"),
        (lambda layers, kept: logit(1 - kept ** (1 / layers)), "branch brings something back"),
        (lambda layers, kept: logit(closed_gate(kept**2)), "for one layer"),
        (lambda layers, kept: closed_gate(kept ** (2 / layers)), "That is T itself"),
        (lambda layers, kept: math.log(closed_gate(kept ** (2 / layers))), "not yet the bias"),
        (lambda layers, kept: -bias(layers, kept), "opens the gates"),
        (lambda layers, kept: -4.0, "multiply the squared length"),
        (lambda layers, kept: math.nan, "root or a logarithm of a negative number"),
    ],
)  # fmt: skip
def test_09_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("09", mistake)


# -- 10: gradients at two inputs that are alike -----------------------------------------------------------------------
def signal(rho):
    return min(1.0, (math.sqrt(1 - rho * rho) + rho * (math.pi - math.acos(rho))) / math.pi)


def alike(rho, layers, factor=lambda rho: 1 - math.acos(rho) / math.pi):
    result = 1.0
    for _ in range(layers):
        result *= factor(rho)
        rho = signal(rho)
    return result


def recursive(rho, layers):
    """Another right way."""
    share = (math.pi - math.acos(rho)) / math.pi
    return share * recursive(signal(rho), layers - 1) if layers else 1.0


def only_the_signal(rho, layers):
    for _ in range(layers):
        rho = signal(rho)
    return rho


@pytest.mark.parametrize("answer", [alike, recursive])
def test_10_worked(answer):
    exercise("10", answer)


@pytest.mark.parametrize(
    ("mistake", "hint"),
    [
        (lambda rho, layers: 0.5**layers, "nothing in common"),
        (lambda rho, layers: alike(rho, 1) ** layers, "moves from layer to layer"),
        (lambda rho, layers: alike(rho, layers, lambda r: (1 - math.acos(r) / math.pi) / 2), "He's factor 2 counts"),
        (lambda rho, layers: alike(rho, layers, lambda r: math.acos(r) / math.pi), "and the other is not"),
        (lambda rho, layers: alike(signal(rho), layers), "factor first, then rho"),
        (lambda rho, layers: alike(rho, layers + 1), "one layer too many"),
        (lambda rho, layers: alike(rho, layers, signal), "asks for masks"),
        (only_the_signal, "what the masks let through"),
        (lambda rho, layers: math.nan, "min"),
        (lambda rho, layers: rho**layers, "Both arrows point upwards"),
    ],
)
def test_10_mistakes(mistake, hint):
    with pytest.raises(AssertionError, match=hint):
        exercise("10", mistake)


def test_10_shares_of_open_units_as_counted():
    rng, rho = np.random.default_rng(0), 0.5
    one, other = rng.standard_normal((2, 200_000))
    two = rho * one + math.sqrt(1 - rho * rho) * other
    counted = ((one > 0) & (two > 0)).mean() / (one > 0).mean()
    assert counted == pytest.approx(alike(rho, 1), abs=0.005)
