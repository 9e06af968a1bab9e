"""Rows of attention, whose oracle goes query by query."""

from __future__ import annotations

import math

import numpy as np

from tests.ops.oracles import normal, row
from tinyres.ops.attention import scaled_dot_product_attention_


def attended(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
    """Attention by loops, with a scale of 0.7."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for at in np.ndindex(*q.shape[:-1]):
        seen = range(min(at[-1] + 1, k.shape[-2]) if causal else k.shape[-2])
        powers = [math.exp(0.7 * math.fsum(q[at] * k[(*at[:-1], j)])) for j in seen]
        y[at] = sum(p * v[(*at[:-1], j)] for p, j in zip(powers, seen, strict=True)) / math.fsum(powers)
    return y


def attention_rows() -> None:
    for causal in (False, True):
        row("scaled_dot_product_attention",
            lambda q, k, v, causal=causal: scaled_dot_product_attention_(q, k, v, scale=0.7, causal=causal),
            lambda q, k, v, causal=causal: attended(q, k, v, causal),
            normal(2, 2, 4, 3), normal(2, 2, 5, 3), normal(2, 2, 5, 2), case="causal" if causal else "every key",
            empty=((0, 4, 3), (0, 5, 3), (0, 5, 2)))  # fmt: skip
