"""Closed forms: what batch norm does to the squared gradient of wide ReLU nets at initialisation.

A unit of variance q enters batch norm, ReLU and a matrix of entries N(0, 2/n). Backwards the matrix and ReLU's mask
keep the squared gradient, and batch norm divides it by q. Forwards v = (π - 1)/π of variance come out: the mean of
ReLU's output is the same for all samples, so the next batch norm does not see it.

Yang et al. 2019 [yang2019mean], "A mean field theory of batch normalization"; De & Smith 2020 [de2020batch], "Batch
normalization biases residual blocks towards the identity function in deep networks". The products over residual blocks
are our own algebra.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

V = (np.pi - 1) / np.pi  # 2 (E relu(z)² - (E relu(z))²) for z ~ N(0, 1)


def plain_gain() -> float:
    """What a plain layer multiplies the squared gradient by: 1/v = π/(π - 1) = 1.46694."""
    return float(1 / V)


def module_gains(depth: int, layers: int = 1) -> Array:
    """What the branch of block l = 1 ... depth multiplies it by: c / (1 + (l - 1) v), c = v^(1 - layers).

    Every block adds v to the variance 1 of the input, and the first batch norm of a branch divides by their sum; each
    further layer of the branch is a plain layer.
    """
    return V ** (1 - layers) / (1 + np.arange(depth) * V)


def residual_gains(depth: int, layers: int = 1) -> Array:
    """What the first 0, 1, ..., depth pre-activation blocks multiply it by: (depth + 1,), the product of 1 + gain."""
    return np.concatenate([[1.0], np.cumprod(1 + module_gains(depth, layers))])


def residual_power(layers: int = 1) -> float:
    """The product grows as depth^(c / v) = depth^(v^-layers): 1.467 for one layer a branch, 2.152 for two."""
    return float(V**-layers)


def scaled_gain(m: float, layers: int = 1) -> float:
    """What a block m x + a F(x), m < 1, multiplies it by when the variance has settled: m² + (1 - m²) / v^layers.

    It settles at a² v / (1 - m²), where m² of it and what the branch adds make up for one another: at v if
    m² + a² = 1. The scale a has no say in the gain.
    """
    return float(m * m + (1 - m * m) / V**layers)


def block_gains(depth: int, m: float, a: float, layers: int = 1, batch: float = math.inf) -> Array:
    """What the first 0, 1, ..., depth blocks m x + a F(x) multiply it by, from a variance of 1 on: (depth + 1,).

    A block multiplies it by m² + a² c / q, c = v^(1 - layers), and the variance q by m² + a² v / q.

    Args:
        batch: the size of the batch. Each batch norm takes two of so many directions out of the gradient: the constant
            one and that of its own output.
    """
    q, found = 1.0, [1.0]
    for _ in range(depth):
        branch = V ** (1 - layers) * (1 - 2 / batch) ** layers / q
        found.append(found[-1] * (m * m + a * a * branch))
        q = m * m * q + a * a * V
    return np.array(found)
