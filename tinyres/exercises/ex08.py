"""Mean and variance move with every sample: so batch norm removes a gradient's mean and its part along x̂.

dx = (g - mean(g) - x̂ mean(g x̂)) / sqrt(var + eps), means over the batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.exercises.expect import explain, function

Array = np.ndarray
CASES = [
    (16, 1, 1.0, 0.0),
    (5, 3, 1.0, 0.0),
    (8, 4, 1.0, 1e-5),
    (6, 2, 0.1, 0.1),
    (7, 3, 100.0, 1e-3),
]


def check(answer: Callable[[Array, Array, float], Array]) -> None:
    """Compare answer(x, g, eps) with the derivative by an imaginary step, exact to the last digits."""
    backward = function(answer, "batch_norm_backward(x, g, eps)")
    rng = np.random.default_rng(0)
    for samples, units, scale, eps in CASES:
        x = scale * (rng.standard_normal((samples, units)) + 3)
        g = rng.standard_normal(x.shape)
        kept = x.copy(), g.copy()
        found = np.asarray(backward(x, g, eps))
        where = f"x and g of shape {x.shape}, x about {3 * scale:g}, eps = {eps:g}"
        untouched = np.array_equal(x, kept[0]) and np.array_equal(g, kept[1])
        assert untouched, f"{where}: x or g was changed; make new arrays"
        assert found.shape == x.shape, f"{where}: got a result of shape {found.shape}, expected {x.shape}"
        needed = _by_imaginary_steps(x, g, eps)
        error = np.abs(found - needed).max() / np.abs(needed).max()
        assert error < 1e-6, f"{where}: off by {error:.0%} of the largest entry. {_hint(found, needed, x, g, eps)}"


def _normalised(x: Array, eps: float) -> Array:
    centred = x - x.mean(axis=0)
    return np.asarray(centred / np.sqrt((centred * centred).mean(axis=0) + eps))


def _by_imaginary_steps(x: Array, g: Array, eps: float) -> Array:
    """d<g, x̂>/dx, an element at a time: no formula of the gradient is in it."""
    found = np.empty_like(x)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1e-30j
        found[index] = (g * _normalised(moved, eps)).sum().imag / 1e-30
    return found


def _hint(found: Array, needed: Array, x: Array, g: Array, eps: float) -> str:
    samples = len(x)
    hat, variance = _normalised(x, eps), x.var(axis=0)
    mean, along = g.mean(axis=0), hat * (g * hat).mean(axis=0)
    over = 1 / np.sqrt(variance + eps)
    unbiased = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps)
    bare = (x - x.mean(axis=0)) / np.sqrt(variance)
    usual = [
        (g * over, "That holds the statistics fixed; but they move when x moves, and that is a route, too."),
        ((g - mean) * over, "The variance moves, too: the part along x̂ must also be removed."),
        ((g - along) * over, "The mean moves, too: the part that all samples share must also be removed."),
        (g - mean - along, "The division by the standard deviation is missing."),
        ((g - mean - along) / (variance + eps), "That divides by the variance; divide by the standard deviation."),
        ((g - samples * mean - samples * along) * over, "Those are sums over the batch; means are needed."),
        ((g - mean - unbiased * (g * unbiased).mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + eps),
         "That is the variance divided by N - 1; batch norm divides by N."),
        ((g - mean - bare * (g * bare).mean(axis=0)) * over, "eps belongs in x̂ as well as in front."),
        ((g - mean - bare * (g * bare).mean(axis=0)) / np.sqrt(variance), "eps is missing under the root."),
        (needed * np.sqrt(variance + eps) / np.sqrt(variance), "eps is missing under the root."),
    ]  # fmt: skip
    otherwise = "Three routes lead from x to x̂: x itself, the mean and the variance. Add what comes back along them."
    return explain(found, usual, otherwise, floor=1e-9 * float(np.abs(needed).max()))


__all__ = ["check"]
