"""Finite width in closed form: the mean and variance of log |J^T u|² in random nets.

Hanin 2018 [hanin2018which], "Which neural net architectures give rise to exploding and vanishing gradients?"; Hanin &
Nica 2020 [hanin2020products], "Products of many large random matrices and gradients in deep neural networks".
The shift of residual nets is our own derivation.
"""

from __future__ import annotations

import numpy as np

SPREAD = {"ReLU": 5, "linear": 2}  # n times the variance that a layer of n units adds to log |J^T u|²
GAIN = {"ReLU": 2, "linear": 1}  # n times the variance of the weights that keeps E |J^T u|² at 1


def leading(width: int, depth: int, kind: str = "ReLU") -> tuple[float, float]:
    """Mean -s beta / 2 and variance s beta of log |J^T u|² to leading order; beta = depth / width, s = SPREAD."""
    spread = SPREAD[kind] * depth / width
    return -spread / 2, spread


def exact(width: int, depth: int, kind: str = "ReLU") -> tuple[float, float]:
    """Mean and variance of log |J^T u|² at any width.

    Flipping the signs of Gaussian weights shows that the ReLU masks may be treated as fair coin flips, independent of
    the weights (Hanin & Nica 2020 [hanin2020products]). Each layer then multiplies |J^T u|² by an
    independent (2/n) chi²_K with K ~ Binomial(n, 1/2), or without ReLU by (1/n) chi²_n. Also E log chi²_k = psi(k/2) +
    log 2 and Var log chi²_k = psi'(k/2). The case that a layer's mask is all zeros (probability 2^-n) is left out.
    """
    from scipy.special import digamma, polygamma
    from scipy.stats import binom

    if kind == "linear":
        mean, variance = digamma(width / 2) + np.log(2 / width), polygamma(1, width / 2)
    else:
        open_units = np.arange(1, width + 1)
        weight = binom.pmf(open_units, width, 0.5)
        means = digamma(open_units / 2) + np.log(4 / width)
        mean = weight @ means
        variance = weight @ (polygamma(1, open_units / 2) + (means - mean) ** 2)
    return float(depth * mean), float(depth * variance)


def residual_shift(m: float, a: float, width: int, depth: int) -> float:
    """Finite-width shift of the mean log of a residual net with blocks m x + a W2 relu(W1 x), to leading order.

    The squared norm after a block is m² + a² |F|² + 2 m a x.F in units of |x|². The last term has mean 0 and variance
    4 m²a²/n, and |F|² has mean 1 and variance 7/n: 5/n from W1 with its ReLU and 2/n from W2. The mean of a logarithm
    lies below the logarithm of the mean by half the relative variance.
    """
    return -depth * (4 * m * m * a * a + 7 * a**4) / (2 * width * (m * m + a * a) ** 2)
