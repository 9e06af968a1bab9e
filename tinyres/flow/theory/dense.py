"""Densely connected layers in closed form: how the gradient grows towards the input; our own derivation.

For the architecture: Huang et al. 2017 [huang2017densely], "Densely connected convolutional networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def concatenating(k0: int, k: int, depth: int) -> Array:
    """Concatenation (DenseNet): squared gradient per feature at the input over that at layer l, (k0 + k l) / k0.

    A He layer passes the gradient of its k new features back to the m_l = k0 + k l features that it reads and preserves
    its square. So the sum over all features stays constant, and per feature it grows by m_{l+1} / m_l = 1 + k / m_l.
    The result covers l = 0, 1, ..., depth.
    """
    return 1 + np.arange(depth + 1) * k / k0


def summing(depth: int) -> Array:
    """The same if each layer reads the sum of all earlier outputs: 2^l, since every layer doubles the square."""
    return np.asarray(2.0 ** np.arange(depth + 1))
