"""Several residual streams that are mixed between blocks, in closed form.

Zhu et al. 2024 [zhu2024hyper], "Hyper-connections", multiply n streams by a learned matrix; Xie et al. 2025
[xie2025mhc] keep it doubly stochastic. The forms below are our own derivation.
"""

from __future__ import annotations

import math

BITS = {"float32": 149, "float64": 1074}  # the smallest number above 0 is 2^-BITS


def free_gain(n: int, sigma: float, depth: int) -> float:
    """E |gradient|² after `depth` mixings by I + sigma G, G of independent N(0, 1): (1 + n sigma²)^depth."""
    return float((1 + n * sigma * sigma) ** depth)


def difference_left(eps: float, depth: int) -> float:
    """What `depth` mixings by (1 - eps) I + eps J/n leave of a difference between streams: (1 - eps)^depth."""
    return float((1 - eps) ** depth)


def silent_range(dtype: str) -> float:
    """The range of logits beyond which exp(-range) rounds to 0: (BITS + 1) ln 2, 103.97 in float32.

    Half of the smallest number above 0 still rounds to 0. From there on Sinkhorn's matrix of logits that favour one
    permutation by this much *is* that permutation.
    """
    return (BITS[dtype] + 1) * math.log(2)
