"""Closed forms: what layers that see all earlier layers do to the gradient; our own algebra.

For the architecture: Huang et al. 2017 [huang2017densely].
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def concatenating(k0: int, k: int, depth: int) -> Array:
    """Squared gradient per feature at the input over that at layer 0, 1, ..., depth: (k0 + k l) / k0.

    A He layer takes the gradient of its k new features back to the m_l = k0 + k l that it reads and keeps its square,
    so the sum over all features stays as it is, and per feature it grows by m_{l+1} / m_l = 1 + k / m_l.
    """
    return 1 + np.arange(depth + 1) * k / k0


def summing(depth: int) -> Array:
    """The same if a layer reads the sum of all earlier outputs: 2^l, since each layer adds as much as there is."""
    return np.asarray(2.0 ** np.arange(depth + 1))
