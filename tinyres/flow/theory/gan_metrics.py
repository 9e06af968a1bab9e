"""What metrics of generators must say of distributions that are known."""

from __future__ import annotations

from typing import Any

import numpy as np


def isotropic_frechet(d: int, sd_a: float, sd_b: float, shift: float = 0.0) -> float:
    """|shift|² + d (s_a - s_b)², the Fréchet distance of N(0, s_a² I) and N(shift, s_b² I) in d dimensions.

    Dowson & Landau 1982 [dowson1982frechet]; Heusel et al. 2017 [heusel2017gans].
    """
    return shift**2 + d * (sd_a - sd_b) ** 2


def frechet_null_bias(d: int, n: int) -> float:
    """d (d + 5) / (2 n), the mean Fréchet distance between two samples, of n each, of one round Gaussian with s = 1.

    2 d / n by the means and d (d + 1) / (2 n) by the covariances, to leading order in 1/n. *Derived.*
    """
    return d * (d + 5) / (2 * n)


def frechet_bias(d: int, n: int, sd_a: float, sd_b: float) -> float:
    """What samples of n each add to the distance of N(0, s_a² I) and N(0, s_b² I) on average, if n > d.

    d (s_a² + s_b²) / n by the means, s_a s_b d (d + 1) / (2 n) by the covariances, to leading order in 1/n. For large d
    at a fixed c = d/n the mean root of the eigenvalues of the product of both covariances is 1 - c/4 + 0 c²: the next
    order vanishes. *Derived.*
    """
    return d * (sd_a**2 + sd_b**2) / n + sd_a * sd_b * d * (d + 1) / (2 * n)


def shrunk_mse(trace: float, a: Any) -> Any:
    """(1 + a²) tr C, the mean |x - (m + a (x' - m))|² over independent x and x' of mean m and covariance C.

    a = 1 is the perfect generator, a = 0 one that always gives the mean. *Derived.*
    """
    return (1 + a * a) * trace


def shrunk_frechet(trace: float, a: Any) -> Any:
    """(1 - a)² tr C, the Fréchet distance between x and m + a (x - m). *Derived.*"""
    return (1 - a) ** 2 * trace


def balanced_inception(classes: int, confidence: float) -> float:
    """exp(ln K - H): each class equally often, and all but `confidence` of an answer spread over the other classes."""
    rest = (1 - confidence) / (classes - 1)
    p = np.array([confidence, *[rest] * (classes - 1)])
    p = p[p > 0]
    return float(classes * np.exp((p * np.log(p)).sum()))


def share_bias(classes: int, n: int) -> float:
    """(K - 1) / (2 n), by how much the entropy of shares counted from n samples is too small, in nats.

    Miller 1955 [miller1955note]. So much is also the mean KL of the counted shares from the true ones; the Inception
    Score of a split loses it in its logarithm.
    """
    return (classes - 1) / (2 * n)


def polynomial_mmd(d: int, sd_a: float, sd_b: float) -> float:
    """3 (s_a² - s_b²)² / d, MMD² with the kernel (x·y/d + 1)³ of N(0, s_a² I) and N(0, s_b² I).

    Of the kernel's four terms only that in (x·y)² has a mean that differs: 3 s² s'² / d. *Derived.*
    """
    return 3 * (sd_a**2 - sd_b**2) ** 2 / d


def rbf_mmd(d: int, sd_a: float, sd_b: float, shift: float, bandwidth: float) -> float:
    """MMD² with the kernel exp(-|x - y|² / 2 h²) of N(0, s_a² I) and N(shift, s_b² I).

    E k(x, y) = (h² / v)^(d/2) exp(-|shift|² / 2 v), v = h² + s² + s'²: a Gaussian integral.
    """

    def mean(s: float, t: float, distance: float) -> float:
        v = bandwidth**2 + s * s + t * t
        return float((bandwidth**2 / v) ** (d / 2) * np.exp(-(distance**2) / (2 * v)))

    return mean(sd_a, sd_a, 0) + mean(sd_b, sd_b, 0) - 2 * mean(sd_a, sd_b, shift)


def high_quality_share(reach: float = 3.0) -> float:
    """1 - exp(-reach² / 2), the share of a round Gaussian in the plane within `reach` standard deviations."""
    return float(-np.expm1(-(reach**2) / 2))
