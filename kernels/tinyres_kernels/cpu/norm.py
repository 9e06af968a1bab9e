"""Batch norm as a few streaming passes; arithmetic is cheap here, and memory is what is counted."""

from typing import Any

import numpy as np

from tinyres_kernels.cpu import rows
from tinyres_kernels.cpu.conv import check_contiguous, flat
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.namespace import Array


def _wide(a: Array, fold: int) -> Array:
    """(M, C) as (M / fold, fold C): longer rows give the sums independent chains to run in."""
    return flat(a).reshape(a.shape[0] // fold, fold * a.shape[1])


def _fold(count: int, channels: int) -> int:
    return next((f for f in (16, 8, 4, 2) if count % f == 0 and f * channels <= 512), 1)


def _total(partial: Array, channels: int) -> Array:
    """Shares of threads, then of folded rows, added in order."""
    return partial.sum(axis=0).reshape(-1, channels).sum(axis=0)


def batch_norm(x: Array, weight: Array, bias: Array, out: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    """`reference.batch_norm` in three passes: the mean, the squares around it, the result. 16 M C bytes in float32."""
    check_contiguous(out)
    M, C = x.shape
    fold, count = _fold(M, C), threads(8 * x.size)
    wide = _wide(x, fold)
    tile: Any = lambda v: np.tile(v.astype(x.dtype, copy=False), fold)
    partial = np.empty((count, fold * C))
    rows.sums(count, wide, partial)
    mean[...] = _total(partial, C) / M
    rows.squares(count, wide, tile(mean), partial)
    variance[...] = _total(partial, C) / M
    rows.normalise(count, wide, tile(mean), tile(weight / np.sqrt(variance + eps)), tile(bias), _wide(out, fold))
    return out


def batch_norm_dx(
    g: Array,
    x: Array,
    weight: Array,
    mean: Array,
    variance: Array,
    out: Array,
    dweight: Array,
    dbias: Array,
    *,
    eps: float,
) -> Array:
    """`reference.batch_norm_dx` in two passes: the two sums, then the result. 20 M C bytes in float32."""
    check_contiguous(out)
    M, C = x.shape
    fold, count = _fold(M, C), threads(8 * x.size)
    tile: Any = lambda v: np.tile(v.astype(x.dtype, copy=False), fold)
    partial = np.empty((2, count, fold * C))
    rows.products(count, _wide(g, fold), _wide(x, fold), tile(mean), partial)
    spread = 1 / np.sqrt(variance.astype(np.float64) + eps)
    total, along = (_total(share, C) for share in partial)
    dbias[...] = total
    dweight[...] = along * spread
    slope = along * spread * spread / M
    rows.combine(count, _wide(g, fold), _wide(x, fold), tile(mean), tile(slope), tile(total / M), tile(weight * spread),
                 _wide(out, fold))  # fmt: skip
    return out
