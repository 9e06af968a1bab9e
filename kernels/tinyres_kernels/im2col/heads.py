"""Attention in whole-array operations, some queries of all heads at a time: memory grows with S, not with L S."""

from collections.abc import Iterator
from math import inf

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Attention

QUERIES = 64  # at a time


def _blocks(q: Array, k: Array, s: Attention) -> Iterator[tuple[slice, slice, Array]]:
    """(queries, the keys that some of them see, their logits), block by block."""
    xp = namespace(q, k)
    for first in range(0, q.shape[1], QUERIES):
        rows = slice(first, min(first + QUERIES, q.shape[1]))
        keys = slice(0, min(rows.stop, k.shape[1]) if s.causal else k.shape[1])
        logits = (q[:, rows] * q.dtype.type(s.scale)) @ k[:, keys].transpose(0, 2, 1)
        if s.causal:
            later = xp.arange(keys.stop) > xp.arange(rows.start, rows.stop)[:, None]
            logits = xp.where(later, q.dtype.type(-inf), logits)
        yield rows, keys, logits


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """`reference.attention`."""
    xp = namespace(q, k)
    for rows, keys, logits in _blocks(q, k, s):
        top = logits.max(axis=2, keepdims=True)
        powers = xp.exp(logits - top)
        total = powers.sum(axis=2, keepdims=True)
        out[:, rows] = powers @ v[:, keys] / total
        lse[:, rows] = (top + xp.log(total))[:, :, 0]


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """`reference.attention_dx`."""
    xp = namespace(q, k)
    dk.fill(0)
    dv.fill(0)
    for rows, keys, logits in _blocks(q, k, s):
        powers = xp.exp(logits - lse[:, rows, None])
        slopes = g[:, rows] @ v[:, keys].transpose(0, 2, 1) - (g[:, rows] * y[:, rows]).sum(axis=2, keepdims=True)
        slopes *= powers * q.dtype.type(s.scale)
        out[:, rows] = slopes @ k[:, keys]
        dk[:, keys] += slopes.transpose(0, 2, 1) @ q[:, rows]
        dv[:, keys] += powers.transpose(0, 2, 1) @ g[:, rows]
