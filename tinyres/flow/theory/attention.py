"""Softmax attention in closed form: how alike the tokens become.

Dong et al. 2021 [dong2021attention], "Attention is not all you need"; Noci et al. 2022 [noci2022signal]. Tokens of
variance q and covariance c have the correlation p = c/q; e = 1 - p is what still tells them apart. The maps of q and c
are our own derivation, for T tokens, logits of variance s², and W_V of unit gain.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

POWER, POWER_WITH_SKIP = 3, 1  # of e, through one layer, as e -> 0
QUERY_POWER = 2  # of e, of the squared gradient of W_Q


def attended(p: float, tokens: int, s: float = 1.0) -> tuple[float, float]:
    """(variance, covariance) of what a layer puts out for tokens of variance 1 and correlation p.

    Row i of the weights gives token j e^(l_ij), of which the part that all j share cancels:

        variance    p + (1 - p) exp(s² (1 - p)) / T
        covariance  p + (1 - p) exp(s² p (1 - p)) / T
    """
    rest = (1 - p) / tokens
    return p + rest * math.exp(s * s * (1 - p)), p + rest * math.exp(s * s * p * (1 - p))


def with_skips(depth: int, tokens: int, s: float = 1.0, p: float = 0.0) -> Array:
    """(q, c) after 0, 1, ..., depth blocks x + Attention(RMSNorm(x)): (depth + 1, 2). It begins at (1, p)."""
    found = [(1.0, p)]
    for _ in range(depth):
        q, c = found[-1]
        variance, covariance = attended(c / q, tokens, s)
        found.append((q + variance, c + covariance))
    return np.array(found)
