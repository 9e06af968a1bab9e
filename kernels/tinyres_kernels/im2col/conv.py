"""Convolution and its two adjoints: windows copied into rows of a matrix, then one matrix product."""

from collections.abc import Iterator
from math import prod
from typing import Any

from tinyres_kernels.geometry import Axis, extent
from tinyres_kernels.im2col.taps import taps
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Conv

BUDGET = 8 << 20  # bytes of columns held at a time: more is no faster, and they would not stay in the cache


def conv2d(x: Array, w: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d` as one matrix product a piece: columns (M, KH*KW*C) times weights (KH*KW*C, O).

    Multiplications as there; about 2 KH KW / (sh sw) times the bytes of x on top, for writing and reading the columns.
    """
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    xp = namespace(x, w, out)
    weights = _by_group(w, s.groups)  # (G, KH*KW*CG, OG)
    for piece, columns in _columns(x, rows, cols, s.groups, out.dtype):
        xp.matmul(columns, weights, out=_by_group(out[piece], s.groups))  # (G, M, OG)


def conv2d_dx(g: Array, w: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d_dx`, by one of two routes.

    At stride 1 it is itself a convolution, of g with the kernel flipped and its channels transposed, padded by
    extent - 1 - padding: a gather, which needs no sums in memory. At other strides that would multiply zeros, so tap by
    tap, g (M, O) times the tap's weights (O, C) is added to the pixels that the tap reads. That is quicker here than
    one product for all taps, whose result is KH*KW times as large and has to be picked apart in short runs.

    Multiplications as there; 2 KH KW times the bytes of g on top (stride 1), or 4 KH KW / (sh sw) times those of out.
    """
    rows, cols = s.axes(out.shape, w.shape, g.shape)
    xp = namespace(g, w, out)
    KH, KW, CG, O = w.shape
    margin = extent(KH, s.dilation[0]) - 1 - s.padding[0], extent(KW, s.dilation[1]) - 1 - s.padding[1]
    if s.stride == (1, 1) and min(margin) >= 0:
        by_group = w[::-1, ::-1].reshape(KH, KW, CG, s.groups, O // s.groups)
        flipped = by_group.transpose(0, 1, 4, 3, 2).reshape(KH, KW, O // s.groups, s.groups * CG)
        conv2d(g, flipped, out, s._replace(padding=margin))
        return
    out.fill(0)
    for piece in _pieces(len(g), prod(g.shape[1:3]) * out.shape[3] * out.dtype.itemsize):
        images = _by_group(g[piece], s.groups)  # (G, M, OG)
        share = xp.empty((*g[piece].shape[:3], out.shape[3]), out.dtype)  # (n, OH, OW, C)
        for kh, kw, at_window, at_pixel in taps(rows, cols):
            weights = _by_group(w[kh, kw], s.groups).transpose(0, 2, 1)  # (G, OG, CG)
            xp.matmul(images, weights, out=_by_group(share, s.groups))
            out[piece][at_pixel] += share[at_window]


def conv2d_dw(x: Array, g: Array, out: Array, s: Conv) -> None:
    """`reference.conv2d_dw` as one product a piece, columns transposed (KH*KW*C, M) times g (M, O), summed over pieces.

    Multiplications and bytes as `conv2d`.
    """
    rows, cols = s.axes(x.shape, out.shape, g.shape)
    xp = namespace(x, g, out)
    out.fill(0)
    total = _by_group(out, s.groups)  # (G, KH*KW*CG, OG)
    for piece, columns in _columns(x, rows, cols, s.groups, out.dtype):
        total += xp.matmul(columns.transpose(0, 2, 1), _by_group(g[piece], s.groups))


def _by_group(a: Array, groups: int) -> Array:
    """A view (..., G*K) -> (G, M, K): one matrix a group. Columns keep unit stride, so BLAS takes it as it is."""
    return a.reshape(prod(a.shape[:-1]), groups, a.shape[-1] // groups).transpose(1, 0, 2)


def _pieces(images: int, bytes_each: int) -> Iterator[slice]:
    """Cuts a batch into runs of as many images as `BUDGET` allows, and one at least."""
    step = max(1, BUDGET // max(1, bytes_each))
    for start in range(0, images, step):
        yield slice(start, min(start + step, images))


def _columns(x: Array, rows: Axis, cols: Axis, groups: int, dtype: Any) -> Iterator[tuple[slice, Array]]:
    """Piece by piece of the batch: which images, and their windows as matrices (G, images*OH*OW, KH*KW*CG).

    The buffer is reused: a piece is to be used up before the next is asked for.
    """
    if (rows.kernel, cols.kernel, rows.stride, cols.stride, rows.padding, cols.padding) == (1, 1, 1, 1, 0, 0):
        yield slice(0, len(x)), _by_group(x, groups)  # a window is a pixel: the image is its own columns
        return
    xp = namespace(x)
    N, H, W, C = x.shape
    shape = (rows.out, cols.out, rows.kernel, cols.kernel, C // groups)
    pieces = list(_pieces(N, rows.out * cols.out * rows.kernel * cols.kernel * C * dtype.itemsize))
    longest = max((piece.stop - piece.start for piece in pieces), default=0)
    columns = xp.empty((groups, longest, *shape), dtype)
    top, left = rows.padding, cols.padding
    padded = xp.zeros((longest, H + 2 * top, W + 2 * left, C), dtype) if top or left else None
    for piece in pieces:
        n = piece.stop - piece.start
        source = x[piece]
        if padded is not None:
            padded[:n, top : top + H, left : left + W] = source
            source = padded[:n]
        sn, sh, sw, sc = source.strides
        windows = xp.lib.stride_tricks.as_strided(
            source,
            (groups, n, *shape),
            (C // groups * sc, sn, rows.stride * sh, cols.stride * sw, rows.dilation * sh, cols.dilation * sw, sc),
        )
        columns[:, :n] = windows
        yield piece, columns[:, :n].reshape(groups, n * rows.out * cols.out, prod(shape[2:]))
