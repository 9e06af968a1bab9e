"""Wasserstein critics in closed form: a linear f(x) = w·x between two distributions that differ by a shift δ.

Arjovsky et al. 2017 [arjovsky2017wasserstein], "Wasserstein generative adversarial networks"; Gulrajani et al. 2017
[gulrajani2017improved], "Improved training of Wasserstein GANs". The slope under a finite penalty is our own
derivation: it maximises δ n - λ (n - 1)² over the norm n = |w|.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def penalised_slope(delta: float, weight: float) -> float:
    """Gradient norm of the optimal critic, 1 + δ / 2λ: it is 1 only in the limit of a large weight λ."""
    return 1 + delta / (2 * weight)


def penalised_value(delta: float, weight: float) -> float:
    """Objective of the optimal critic, penalty included: δ + δ² / 4λ; the Wasserstein distance is δ."""
    return delta + delta * delta / (4 * weight)


def clipped_value(shift: Sequence[float], c: float) -> float:
    """Objective of the optimal critic clipped to |w_i| <= c: c |δ|₁, at a corner of the box."""
    return c * sum(abs(part) for part in shift)


def parallel_lines(theta: float) -> tuple[float, float]:
    """(W1, JS) of (0, y) and (θ, y), y ~ U(0, 1): |θ|, and log 2 unless θ = 0."""
    return abs(theta), math.log(2) if theta else 0.0
