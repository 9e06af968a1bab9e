"""Batch norm in closed form: its effect on the squared gradient of wide ReLU nets at initialisation.

A unit of variance q enters batch norm, ReLU and a matrix with entries N(0, 2/n). On the way back the matrix and ReLU's
mask preserve the squared gradient, and batch norm divides it by q. Forwards, the variance comes out as v = (π - 1)/π:
the mean of ReLU's output is the same for all samples, so the next batch norm removes it.

Yang et al. 2019 [yang2019mean], "A mean field theory of batch normalization"; De & Smith 2020 [de2020batch], "Batch
normalization biases residual blocks towards the identity function in deep networks". The products over residual blocks
are our own derivation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

V = (np.pi - 1) / np.pi  # 2 (E relu(z)² - (E relu(z))²) for z ~ N(0, 1)


def plain_gain() -> float:
    """Factor on the squared gradient per plain layer: 1/v = π/(π - 1) = 1.46694."""
    return float(1 / V)


def module_gains(depth: int, layers: int = 1) -> Array:
    """Factor on the squared gradient from the branch of block l = 1 ... depth: c / (1 + (l - 1) v), c = v^(1 - layers).

    Every block adds v to the input's variance of 1, and the first batch norm of a branch divides by the total; each
    further layer of the branch is a plain layer.
    """
    return V ** (1 - layers) / (1 + np.arange(depth) * V)


def residual_gains(depth: int, layers: int = 1) -> Array:
    """Factor from the first 0, 1, ..., depth pre-activation blocks: (depth + 1,), the product of 1 + gain."""
    return np.concatenate([[1.0], np.cumprod(1 + module_gains(depth, layers))])


def residual_power(layers: int = 1) -> float:
    """Exponent of that growth, depth^(c / v) = depth^(v^-layers): 1.467 for one layer per branch, 2.152 for two."""
    return float(V**-layers)


def scaled_gain(m: float, layers: int = 1) -> float:
    """Factor per block m x + a F(x), m < 1, once the variance has converged: m² + (1 - m²) / v^layers.

    The variance converges to a² v / (1 - m²), where the loss by m² and the branch's addition balance: v if m² + a² = 1.
    The scale a cancels from the gain.
    """
    return float(m * m + (1 - m * m) / V**layers)


def block_gains(depth: int, m: float, a: float, layers: int = 1, batch: float = math.inf) -> Array:
    """Factor from the first 0, 1, ..., depth blocks m x + a F(x), starting at a variance of 1: (depth + 1,).

    A block multiplies the squared gradient by m² + a² c / q, c = v^(1 - layers), and the variance q by m² + a² v / q.

    Args:
        batch: the size of the batch, which is also the number of directions in it. Each batch norm removes two of them
            from the gradient: the constant one and that of its own output.
    """
    q, found = 1.0, [1.0]
    for _ in range(depth):
        branch = V ** (1 - layers) * (1 - 2 / batch) ** layers / q
        found.append(found[-1] * (m * m + a * a * branch))
        q = m * m * q + a * a * V
    return np.array(found)
