"""Rows of attention, whose oracle goes query by query."""

from __future__ import annotations

import math

import numpy as np

from tests.ops.oracles import normal, row
from tinyres.ops.attention import scaled_dot_product_attention_, self_attention_


def attended(q: np.ndarray, k: np.ndarray, v: np.ndarray, causal: bool) -> np.ndarray:
    """Attention by loops, with a scale of 0.7."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for at in np.ndindex(*q.shape[:-1]):
        seen = range(min(at[-1] + 1, k.shape[-2]) if causal else k.shape[-2])
        powers = [math.exp(0.7 * math.fsum(q[at] * k[(*at[:-1], j)])) for j in seen]
        y[at] = sum(p * v[(*at[:-1], j)] for p, j in zip(powers, seen, strict=True)) / math.fsum(powers)
    return y


def joined(x: np.ndarray, causal: bool) -> np.ndarray:
    """Of one projection, whose row holds the queries, keys and values of 2 heads, 3 numbers each."""
    heads = [attended(*(x[..., 6 * part + 3 * h : 6 * part + 3 * h + 3] for part in range(3)), causal) for h in (0, 1)]
    return np.concatenate(heads, -1)


def attention_rows() -> None:
    for causal in (False, True):
        row("scaled_dot_product_attention",
            lambda q, k, v, causal=causal: scaled_dot_product_attention_(q, k, v, scale=0.7, causal=causal),
            lambda q, k, v, causal=causal: attended(q, k, v, causal),
            normal(2, 2, 4, 3), normal(2, 2, 5, 3), normal(2, 2, 5, 2), case="causal" if causal else "every key",
            empty=((0, 4, 3), (0, 5, 3), (0, 5, 2)))  # fmt: skip
        row("self_attention",
            lambda x, causal=causal: self_attention_(x, heads=2, scale=0.7, causal=causal),
            lambda x, causal=causal: joined(x, causal),
            normal(2, 4, 18), case="causal" if causal else "every key", empty=((0, 4, 18),))  # fmt: skip
