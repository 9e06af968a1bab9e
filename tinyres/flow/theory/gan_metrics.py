"""GAN metrics in closed form: Fréchet distance, Inception Score, MMD and coverage of known distributions."""

from __future__ import annotations

from typing import Any

import numpy as np


def isotropic_frechet(d: int, sd_a: float, sd_b: float, shift: float = 0.0) -> float:
    """|shift|² + d (s_a - s_b)², the Fréchet distance of N(0, s_a² I) and N(shift, s_b² I) in d dimensions.

    Dowson & Landau 1982 [dowson1982frechet]; Heusel et al. 2017 [heusel2017gans].
    """
    return shift**2 + d * (sd_a - sd_b) ** 2


def frechet_null_bias(d: int, n: int) -> float:
    """d (d + 5) / (2 n), the mean Fréchet distance between two samples of size n from one standard Gaussian.

    The means contribute 2 d / n and the covariances d (d + 1) / (2 n), to leading order in 1/n. *Derived.*
    """
    return d * (d + 5) / (2 * n)


def frechet_bias(d: int, n: int, sd_a: float, sd_b: float) -> float:
    """Bias of the Fréchet distance between samples of size n from N(0, s_a² I) and N(0, s_b² I), if n > d.

    The means contribute d (s_a² + s_b²) / n and the covariances s_a s_b d (d + 1) / (2 n), to leading order in 1/n. For
    large d at a fixed c = d/n the mean root of the eigenvalues of the product of both covariances is 1 - c/4 + 0 c²:
    the next order vanishes. *Derived.*
    """
    return d * (sd_a**2 + sd_b**2) / n + sd_a * sd_b * d * (d + 1) / (2 * n)


def shrunk_mse(trace: float, a: Any) -> Any:
    """(1 + a²) tr C, the mean |x - (m + a (x' - m))|² over independent x and x' with mean m and covariance C.

    a = 1 is the perfect generator; a = 0 always outputs the mean. *Derived.*
    """
    return (1 + a * a) * trace


def shrunk_frechet(trace: float, a: Any) -> Any:
    """(1 - a)² tr C, the Fréchet distance between x and m + a (x - m). *Derived.*"""
    return (1 - a) ** 2 * trace


def balanced_inception(classes: int, confidence: float) -> float:
    """Inception Score exp(ln K - H) of balanced classes, where the classifier gives one class `confidence` and spreads
    the rest evenly over the others."""
    rest = (1 - confidence) / (classes - 1)
    p = np.array([confidence, *[rest] * (classes - 1)])
    p = p[p > 0]
    return float(classes * np.exp((p * np.log(p)).sum()))


def share_bias(classes: int, n: int) -> float:
    """(K - 1) / (2 n), the downward bias in nats of the entropy of class shares counted from n samples.

    Miller 1955 [miller1955note]. It is also the mean KL divergence of the counted shares from the true ones, and the
    log of a split's Inception Score is too low by this amount.
    """
    return (classes - 1) / (2 * n)


def polynomial_mmd(d: int, sd_a: float, sd_b: float) -> float:
    """3 (s_a² - s_b²)² / d, the MMD² between N(0, s_a² I) and N(0, s_b² I) with the kernel (x·y/d + 1)³.

    Only one of the kernel's four terms, the one in (x·y)², has a mean that differs: 3 s² s'² / d. *Derived.*
    """
    return 3 * (sd_a**2 - sd_b**2) ** 2 / d


def rbf_mmd(d: int, sd_a: float, sd_b: float, shift: float, bandwidth: float) -> float:
    """MMD² between N(0, s_a² I) and N(shift, s_b² I) with the kernel exp(-|x - y|² / 2 h²).

    E k(x, y) = (h² / v)^(d/2) exp(-|shift|² / 2 v), v = h² + s² + s'²: a Gaussian integral.
    """

    def mean(s: float, t: float, distance: float) -> float:
        v = bandwidth**2 + s * s + t * t
        return float((bandwidth**2 / v) ** (d / 2) * np.exp(-(distance**2) / (2 * v)))

    return mean(sd_a, sd_a, 0) + mean(sd_b, sd_b, 0) - 2 * mean(sd_a, sd_b, shift)


def high_quality_share(reach: float = 3.0) -> float:
    """1 - exp(-reach² / 2), the share of an isotropic 2-D Gaussian within `reach` standard deviations."""
    return float(-np.expm1(-(reach**2) / 2))
