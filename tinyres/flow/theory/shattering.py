"""Closed forms: the correlation between a net's gradients at two inputs.

Balduzzi et al. 2017 [balduzzi2017shattered]; the arc-cosine kernels are those of Cho & Saul 2009 [cho2009kernel].
"""

from __future__ import annotations

import numpy as np

from tinyres.flow.theory import normalised


def plain_frozen(depth: int) -> float:
    """2^-depth for batch norm whose statistics are constants: it decorrelates the signals, so half the masks agree."""
    return float(2.0**-depth)


def exact_batch_norm(batch: int) -> float:
    """-1 / (batch - 1): behind batch norm the gradients of a batch sum to zero, if the sum of outputs is followed."""
    return -1 / (batch - 1)


def residual_frozen(depth: int) -> float:
    """Product of (1 + r_l / 2) / (1 + r_l), r_l the gain of block l's branch: only what the branch adds is halved."""
    gains = normalised.module_gains(depth)
    return float(np.prod((1 + gains / 2) / (1 + gains)))


def kappa0(rho: float) -> float:
    """How often a ReLU passes both of two signals of correlation rho, over how often one: 1 - arccos(rho) / π."""
    return float(1 - np.arccos(rho) / np.pi)


def kappa1(rho: float) -> float:
    """The cosine of what it passes: (sqrt(1 - rho²) + rho (π - arccos(rho))) / π."""
    return float((np.sqrt(1 - rho * rho) + rho * (np.pi - np.arccos(rho))) / np.pi)


def he(rho: float, depth: int) -> float:
    """Without batch norm, from inputs of correlation rho: the product of kappa0(rho_l), rho_{l+1} = kappa1(rho_l)."""
    product = 1.0
    for _ in range(depth):
        product *= kappa0(rho)
        rho = min(1.0, kappa1(rho))
    return product
