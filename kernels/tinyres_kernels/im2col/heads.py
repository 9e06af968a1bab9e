"""Attention in whole-array operations, some queries of all heads at a time: memory grows with S, not with L S."""

from collections.abc import Iterator
from math import inf

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Attention

QUERIES = 64  # at a time


def _by_head(*arrays: Array) -> Iterator[Array]:
    """(N, L, H, E) as views (N, H, L, E)."""
    return (a.transpose(0, 2, 1, 3) for a in arrays)


def _blocks(q: Array, k: Array, s: Attention) -> Iterator[tuple[slice, slice, Array]]:
    """(queries, the keys that some of them see, their logits), block by block."""
    xp = namespace(q, k)
    for first in range(0, q.shape[2], QUERIES):
        rows = slice(first, min(first + QUERIES, q.shape[2]))
        keys = slice(0, min(rows.stop, k.shape[2]) if s.causal else k.shape[2])
        logits = (q[:, :, rows] * q.dtype.type(s.scale)) @ k[:, :, keys].transpose(0, 1, 3, 2)
        if s.causal:
            later = xp.arange(keys.stop) > xp.arange(rows.start, rows.stop)[:, None]
            logits = xp.where(later, q.dtype.type(-inf), logits)
        yield rows, keys, logits


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """`reference.attention`."""
    xp = namespace(q, k)
    q, k, v, out = _by_head(q, k, v, out)
    for rows, keys, logits in _blocks(q, k, s):
        top = logits.max(axis=3, keepdims=True)
        powers = xp.exp(logits - top)
        total = powers.sum(axis=3, keepdims=True)
        out[:, :, rows] = powers @ v[:, :, keys] / total
        lse[:, :, rows] = (top + xp.log(total))[..., 0]


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """`reference.attention_dx`."""
    xp = namespace(q, k)
    dk.fill(0)
    dv.fill(0)
    g, q, k, v, y, out, dk, dv = _by_head(g, q, k, v, y, out, dk, dv)
    for rows, keys, logits in _blocks(q, k, s):
        powers = xp.exp(logits - lse[:, :, rows, None])
        above, means = g[:, :, rows], (g[:, :, rows] * y[:, :, rows]).sum(axis=3, keepdims=True)
        slopes = above @ v[:, :, keys].transpose(0, 1, 3, 2) - means
        slopes *= powers * q.dtype.type(s.scale)
        out[:, :, rows] = slopes @ k[:, :, keys]
        dk[:, :, keys] += slopes.transpose(0, 1, 3, 2) @ q[:, :, rows]
        dv[:, :, keys] += powers.transpose(0, 1, 3, 2) @ above
