"""Path lengths in closed form: how many paths of each length a residual net has, and how much gradient they carry.

A net of L residual blocks is the sum of 2^L paths, and C(L, k) of them pass through k branches. If a branch multiplies
the squared gradient by r_l, and gradients along different paths are uncorrelated, then the squared gradient of all
paths of length k is the coefficient of z^k in  prod_l (1 + r_l z).

Veit et al. 2016 [veit2016residual], "Residual networks behave like ensembles of relatively shallow networks". The
weighting is our own algebra; the gains r_l of nets with batch norm are `normalised.module_gains`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def binomial(blocks: int) -> Array:
    """The share of paths with k = 0 ... L branches among all 2^L: Binomial(L, 1/2)."""
    return np.array([math.comb(blocks, k) / 2**blocks for k in range(blocks + 1)])


def poisson_binomial(gains: Any) -> Array:
    """The share of squared gradient that paths of length k = 0 ... L carry.

        p_k = [z^k] prod_l (1 + r_l z) / (1 + r_l)

    Args:
        gains: (L,) r_l, the factor on the squared gradient from the branch of block l. If all are 1: the binomial.

    Returns:
        (L + 1,) shares that sum to 1; their mean is `mean_length(gains)`.
    """
    p = np.ones(1)
    for r in np.asarray(gains, dtype=float):
        p = np.convolve(p, [1 / (1 + r), r / (1 + r)])
    return p


def mean_length(gains: Any) -> float:
    """sum_l r_l / (1 + r_l): the mean path length, weighted by the squared gradient on the path."""
    r = np.asarray(gains, dtype=float)
    return float((r / (1 + r)).sum())


def tilted(count: Any, mean: float) -> Array:
    """Exponentially tilted path counts: p_k proportional to count_k r^k, with the r that gives the mean length `mean`.

    Every path of length k then carries r^k. For count_k = C(L, k) this is Binomial(L, r / (1 + r)).

    Args:
        count: (L + 1,) paths of each length; lengths without a path get no share.
        mean: between the shortest and the longest path.

    Raises:
        ValueError: no r gives that mean.
    """
    k = np.arange(len(count))
    logs = np.array([math.log(c) if c > 0 else -math.inf for c in count])  # counts may be integers beyond 1e308
    low, high = k[np.isfinite(logs)][[0, -1]]
    if not low <= mean <= high:
        raise ValueError(f"tilted: paths have lengths from {low} to {high}; their mean cannot be {mean:g}")

    def tilt(log_r: float) -> Array:
        weights = logs + k * log_r
        p: Array = np.exp(weights - weights.max())
        p /= p.sum()
        return p

    below, above = -700.0, 700.0  # bounds on log r for bisection; the mean grows with it
    for _ in range(100):
        middle = (below + above) / 2
        below, above = (middle, above) if tilt(middle) @ k < mean else (below, middle)
    return tilt(middle)
