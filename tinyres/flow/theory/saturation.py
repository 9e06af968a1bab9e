"""Generator saturation in closed form: Gaussians N(0, s²) and N(θ, s²), d = θ / s apart, and the optimal discriminator.

Goodfellow et al. 2014 [goodfellow2014generative], "Generative adversarial nets"; Arjovsky & Bottou 2017
[arjovsky2017towards], "Towards principled methods for training generative adversarial networks". The logistic form and
the asymptote are our own derivation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def trapezoid(reach: float = 12.0, step: float = 0.05) -> tuple[Any, Any]:
    """Trapezoid rule: nodes z, weights w with sum w f(z) = E f(z), z ~ N(0, 1); exponentially accurate in 1 / step."""
    half = round(reach / step)
    z = np.arange(-half, half + 1) * step
    w = np.exp(-z * z / 2)
    return z, w / w.sum()


def optimal_logit(d: float, s: float = 1.0) -> tuple[float, float]:
    """(bias, slope) of the logit of D* = p_r / (p_r + p_g): log p_r / p_g = d²/2 - d x / s."""
    return d * d / 2, -d / s


def mean_score_of_fakes(d: float) -> float:
    """Mean score of fakes, A(d) = E_pg D*(x) = exp(-d²/8) E[1 / (2 cosh(d z / 2))], z ~ N(0, 1) about the midpoint."""
    z, w = trapezoid()
    return math.exp(-d * d / 8) * float((w / (2 * np.cosh(d * z / 2))).sum())


def saturating(d: float, s: float = 1.0) -> float:
    """Gradient of the saturating loss, |dL/dθ| = d A(d) / s for L = E_pg log(1 - D*), D* fixed."""
    return d * mean_score_of_fakes(d) / s


def non_saturating(d: float, s: float = 1.0) -> float:
    """Gradient of the non-saturating loss, |dL/dθ| = d (1 - A(d)) / s for L = -E_pg log D*, D* fixed."""
    return d * (1 - mean_score_of_fakes(d)) / s


def bound(d: float, s: float = 1.0) -> float:
    """Upper bound of the saturating gradient: (d / 2s) exp(-d²/8), since cosh >= 1."""
    return d / (2 * s) * math.exp(-d * d / 8)


def asymptote(d: float, s: float = 1.0) -> float:
    """Asymptote of the saturating gradient for large d: sqrt(π/2) exp(-d²/8) / s, from the area π/d of sech / 2."""
    return math.sqrt(math.pi / 2) / s * math.exp(-d * d / 8)


def divergence(d: float) -> float:
    """Jensen-Shannon divergence in nats: the mixture's entropy minus that of each half; at most log 2."""
    x = np.arange(-12.0, abs(d) + 12.0, 0.02)
    mixture = (np.exp(-(x**2) / 2) + np.exp(-((x - d) ** 2) / 2)) / (2 * math.sqrt(2 * math.pi))
    entropy = -0.02 * float((mixture * np.log(mixture)).sum())
    return entropy - math.log(2 * math.pi * math.e) / 2


def value(d: float) -> float:
    """Value of the game at the optimal discriminator: V(D*) = E_pr log D* + E_pg log(1 - D*) = -log 4 + 2 JSD."""
    return -math.log(4) + 2 * divergence(d)


def steps_to(d: float, near: float, rate: float, *, saturates: bool) -> float:
    """Gradient-descent steps on θ from d to `near` with D always optimal: 1/rate ∫ dd / |dL/dθ|, small rate, s = 1.

    The integral of 1 / gradient from `near` to `d` is computed by Simpson's rule.
    """
    grid = np.linspace(near, d, 401)
    speed = saturating if saturates else non_saturating
    slowness = np.array([1 / speed(float(point)) for point in grid])
    weights = np.ones(401)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float((weights * slowness).sum() * (grid[1] - grid[0]) / 3 / rate)


def ratio_tail(medians: float) -> float:
    """P(|r| > medians x median |r|) = (2/π) arctan(1 / medians) for a Cauchy r, the ratio of two Gaussian errors."""
    return 2 / math.pi * math.atan(1 / medians)


def accuracy(d: float) -> float:
    """Accuracy of the optimal discriminator: Φ(d / 2), the normal distribution function."""
    return (1 + math.erf(d / (2 * math.sqrt(2)))) / 2


def summed_logit(d: float, x: Any) -> Any:
    """The logit of the D that minimises d_loss + g_loss, -log D for G: D = (p_r + p_g) / (p_r + 2 p_g) > 1/2; s = 1."""
    bias, slope = optimal_logit(d)
    return np.log1p(np.exp(bias + slope * x))
