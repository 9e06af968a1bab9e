"""The residual stream in closed form: where the normalisation stands, and what reaches which block.

A branch F(x) = s W2 relu(W1 x), W1 ~ N(0, 2/n) and W2 ~ N(0, 1/n), multiplies the squared signal and, on the way back,
the squared gradient by s². Layer norm divides the gradient by the standard deviation that it takes from the signal.
Block l = 1 ... L of a wide net, with inputs of variance 1:

    pre     x + F(LN(x))               Xiong et al. 2020 [xiong2020layer]
    post    LN(x + F(x))               the same; Vaswani et al. 2017 [vaswani2017attention]
    peri    x + LN(F(LN(x)))           Kim et al. 2025 [kim2025peri]
    lns     x + F(LN(x) / sqrt(l))     LayerNorm scaling, Sun et al. 2025 [sun2025curse]
    deep    LN(A x + B² F(x))          DeepNorm, Wang et al. 2022 [wang2022deepnet]: A = (2L)^(1/4), B = (8L)^(-1/4),
                                       where B scales both matrices of the branch

After the last block of "pre", "peri" and "lns" stands one more layer norm. The closed forms are our own derivation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

NORMS = ("pre", "post", "peri", "lns", "deep")
OPEN = ("pre", "peri", "lns")  # nothing normalises the stream between blocks, so its variance grows


def deepnorm_scales(depth: int) -> tuple[float, float]:
    """(A, B) of DeepNorm for a net of `depth` blocks that only encodes."""
    return (2 * depth) ** 0.25, (8 * depth) ** -0.25


def variances(norm: str, depth: int, s: float = 1.0) -> Array:
    """The variance of the stream after 0, 1, ..., depth blocks: (depth + 1,).

    pre 1 + l s²; lns 1 + s² H_l with H_l = 1 + 1/2 + ... + 1/l; peri 1 + l; post and deep 1.
    """
    l = np.arange(1, depth + 1)
    added = {"pre": s * s + 0.0 * l, "lns": s * s / l, "peri": 1.0 + 0.0 * l}.get(norm, 0.0 * l)
    return 1 + np.concatenate([[0.0], np.cumsum(added)])


def branch_gains(norm: str, depth: int, s: float = 1.0) -> Array:
    """r_l: the squared gradient that block l = 1 ... depth sends through its branch, over that through its skip.

    At s = 1: pre and peri 1/l; post 1; lns 1/(l (1 + H_(l-1))); deep 1/(8L sqrt(2L)).
    """
    l, q = np.arange(1, depth + 1), variances(norm, depth, s)[:-1]
    if norm == "post":
        return np.full(depth, s * s)
    if norm == "deep":
        a, b = deepnorm_scales(depth)
        return np.full(depth, s * s * b**4 / (a * a))
    return {"pre": s * s / q, "lns": s * s / (l * q), "peri": 1 / q}[norm]


def weight_gradients(norm: str, depth: int, s: float = 1.0) -> Array:
    """|dL/dW2_l|² / (n |g|²) of block l = 1 ... depth, g the cotangent after the last layer norm.

    At s = 1: pre 1/(1 + l); post 1/2 in every block; peri 1/(1 + l); lns 1/(l (1 + H_l)).
    """
    l, q = np.arange(1, depth + 1), variances(norm, depth, s)[1:]
    if norm == "post":
        return np.full(depth, s * s / (1 + s * s))
    if norm == "deep":
        a, b = deepnorm_scales(depth)
        return np.full(depth, s * s * b * b / (a * a + s * s * b**4))
    return {"pre": s * s / q, "lns": s * s / (l * q), "peri": 1 / q}[norm]


def layer_norm_gains(depth: int) -> Array:
    """The squared gradient that passes blocks x + W relu(LN(x)), W ~ N(0, 2/n): 1, 2, ..., depth + 1."""
    return np.arange(1.0, depth + 2)
