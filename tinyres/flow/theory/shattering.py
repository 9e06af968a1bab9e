"""Shattered gradients in closed form: the correlation between a net's gradients at two inputs.

Balduzzi et al. 2017 [balduzzi2017shattered], "The shattered gradients problem"; the arc-cosine kernels are those of Cho
& Saul 2009 [cho2009kernel], "Kernel methods for deep learning".
"""

from __future__ import annotations

import numpy as np

from tinyres.flow.theory import normalised


def plain_frozen(depth: int) -> float:
    """2^-depth for batch norm with constant statistics: it decorrelates the signals, so half the masks agree."""
    return float(2.0**-depth)


def exact_batch_norm(batch: int) -> float:
    """-1 / (batch - 1): batch norm makes a batch's gradients of the summed output add up to zero."""
    return -1 / (batch - 1)


def residual_frozen(depth: int) -> float:
    """Product of (1 + r_l / 2) / (1 + r_l), r_l the gain of block l's branch: only the branch's part is halved."""
    gains = normalised.module_gains(depth)
    return float(np.prod((1 + gains / 2) / (1 + gains)))


def kappa0(rho: float) -> float:
    """P(ReLU passes both | it passes one) for two signals of correlation rho: 1 - arccos(rho) / π."""
    return float(1 - np.arccos(rho) / np.pi)


def kappa1(rho: float) -> float:
    """Cosine of two signals of correlation rho after ReLU: (sqrt(1 - rho²) + rho (π - arccos(rho))) / π."""
    return float((np.sqrt(1 - rho * rho) + rho * (np.pi - np.arccos(rho))) / np.pi)


def he_init(rho: float, depth: int) -> float:
    """He initialisation, inputs of correlation rho: the product of kappa0(rho_l), rho_{l+1} = kappa1(rho_l)."""
    product = 1.0
    for _ in range(depth):
        product *= kappa0(rho)
        rho = min(1.0, kappa1(rho))
    return product
