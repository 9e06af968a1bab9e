"""The kernels in whole-array operations: for NumPy or CuPy arrays, with no compiler.

`reference` holds the equations; here is how they become few, large operations. A convolution copies every window into
a row of a matrix ("image to columns") and leaves the rest to one matrix product, at the price of KH*KW times the
image's memory; so the batch is cut into pieces whose columns stay within `BUDGET`. Pools and the strided `conv2d_dx` go
tap by tap: for one tap of the kernel, the pixels it reads and the outputs they belong to are two slices.

Inputs may have any strides; `out` must be C-contiguous, as everywhere. Sums run in `out`'s dtype, in an order that
depends on the shapes alone.
"""

from collections.abc import Iterator
from math import inf, prod
from typing import Any

from tinyres_kernels.geometry import Axis, Pair, conv_axes, extent, pool_axes
from tinyres_kernels.namespace import Array, namespace

BUDGET = 8 << 20  # bytes of columns held at a time: more is no faster, and they would not stay in the cache


def conv2d(x: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d` as one matrix product a piece: columns (M, KH*KW*C) times weights (KH*KW*C, O).

    Multiplications as there; about 2 KH KW / (sh sw) times the bytes of x on top, for writing and reading the columns.
    """
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    xp = namespace(x, w, out)
    _check_contiguous(out)
    weights = _by_group(w, groups)  # (G, KH*KW*CG, OG)
    for piece, columns in _columns(x, rows, cols, groups, out.dtype):
        xp.matmul(columns, weights, out=_by_group(out[piece], groups))  # (G, M, OG)
    return out


def conv2d_dx(g: Array, w: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d_dx`, by one of two routes.

    At stride 1 it is itself a convolution, of g with the kernel flipped and its channels transposed, padded by
    extent - 1 - padding: a gather, which needs no sums in memory. At other strides that would multiply zeros, so tap by
    tap, g (M, O) times the tap's weights (O, C) is added to the pixels that the tap reads. That is quicker here than
    one product for all taps, whose result is KH*KW times as large and has to be picked apart in short runs.

    Multiplications as there; 2 KH KW times the bytes of g on top (stride 1), or 4 KH KW / (sh sw) times those of out.
    """
    rows, cols = conv_axes(out.shape, w.shape, g.shape, stride, padding, dilation, groups)
    xp = namespace(g, w, out)
    _check_contiguous(out)
    KH, KW, CG, O = w.shape
    margin = extent(KH, dilation[0]) - 1 - padding[0], extent(KW, dilation[1]) - 1 - padding[1]
    if stride == (1, 1) and min(margin) >= 0 and out.size:  # an image without pixels is no convolution's output
        by_group = w[::-1, ::-1].reshape(KH, KW, CG, groups, O // groups)
        flipped = by_group.transpose(0, 1, 4, 3, 2).reshape(KH, KW, O // groups, groups * CG)
        return conv2d(g, flipped, out, stride=stride, padding=margin, dilation=dilation, groups=groups)
    out.fill(0)
    for piece in _pieces(len(g), prod(g.shape[1:3]) * out.shape[3] * out.dtype.itemsize):
        images = _by_group(g[piece], groups)  # (G, M, OG)
        share = xp.empty((*g[piece].shape[:3], out.shape[3]), out.dtype)  # (n, OH, OW, C)
        for kh, kw, at_window, at_pixel in _taps(rows, cols):
            weights = _by_group(w[kh, kw], groups).transpose(0, 2, 1)  # (G, OG, CG)
            xp.matmul(images, weights, out=_by_group(share, groups))
            out[piece][at_pixel] += share[at_window]
    return out


def conv2d_dw(x: Array, g: Array, out: Array, *, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """`reference.conv2d_dw` as one product a piece, columns transposed (KH*KW*C, M) times g (M, O), summed over pieces.

    Multiplications and bytes as `conv2d`.
    """
    rows, cols = conv_axes(x.shape, out.shape, g.shape, stride, padding, dilation, groups)
    xp = namespace(x, g, out)
    _check_contiguous(out)
    out.fill(0)
    total = _by_group(out, groups)  # (G, KH*KW*CG, OG)
    for piece, columns in _columns(x, rows, cols, groups, out.dtype):
        total += xp.matmul(columns.transpose(0, 2, 1), _by_group(g[piece], groups))
    return out


def max_pool2d(
    x: Array, out: Array, index: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """`reference.max_pool2d` as a running maximum over the taps (whose zeros may differ from the winner's in sign).

    About 9 KH KW times the bytes of out. Each tap's pixels are first copied side by side: all that follows then runs
    over plain contiguous arrays, several times faster than over slices with C pixels in a row.
    """
    rows, cols = pool_axes(x.shape, out.shape, kernel, stride, padding, dilation)
    xp = namespace(x, out)
    # A window of nothing but -inf has no pixel that exceeds the start: its first one wins, and padding is not first.
    top = xp.asarray([rows.window(o)[0][0] for o in range(rows.out)], dtype=index.dtype)
    left = xp.asarray([cols.window(o)[0][0] for o in range(cols.out)], dtype=index.dtype)
    index[...] = (top[:, None] * kernel[1] + left)[:, :, None]
    out.fill(-inf)
    if any(padding):
        N, H, W, C = x.shape
        padded = xp.full((N, H + 2 * padding[0], W + 2 * padding[1], C), -inf, x.dtype)
        padded[:, padding[0] : padding[0] + H, padding[1] : padding[1] + W] = x
        x = padded
        rows, cols = (axis._replace(size=axis.size + 2 * axis.padding, padding=0) for axis in (rows, cols))
    for kh, kw, _, at_pixel in _taps(rows, cols):  # without padding, every tap has a pixel in every window
        value = xp.ascontiguousarray(x[at_pixel])
        wins = ~(value <= out) & (out == out)  # greater, or the first NaN: nothing displaces a NaN
        xp.maximum(out, value, out=out)
        # Taps come in rising order, so the latest winner is the largest number.
        xp.maximum(index, wins * index.dtype.type(kh * kernel[1] + kw), out=index)
    return out


def max_pool2d_dx(
    g: Array, index: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """`reference.max_pool2d_dx` as one masked sum a tap. About 4 KH KW times the bytes of g."""
    rows, cols = pool_axes(out.shape, g.shape, kernel, stride, padding, dilation)
    xp = namespace(g, index, out)
    out.fill(0)
    for kh, kw, at_window, at_pixel in _taps(rows, cols):
        won = index[at_window] == kh * kernel[1] + kw
        out[at_pixel] += xp.where(won, g[at_window], 0)  # not a product: 0 * inf would be NaN
    return out


def max_pool2d_take(
    u: Array, index: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Array:
    """`reference.max_pool2d_take` as one masked copy a tap. About 3 KH KW times the bytes of out."""
    rows, cols = pool_axes(u.shape, out.shape, kernel, stride, padding, dilation)
    xp = namespace(u, index, out)
    out.fill(0)
    for kh, kw, at_window, at_pixel in _taps(rows, cols):
        xp.copyto(out[at_window], u[at_pixel], where=index[at_window] == kh * kernel[1] + kw)
    return out


def avg_pool2d(x: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Array:
    """`reference.avg_pool2d` as one sum a tap, then one division. About 3 KH KW times the bytes of out."""
    rows, cols = pool_axes(x.shape, out.shape, kernel, stride, padding)
    out.fill(0)
    for _, _, at_window, at_pixel in _taps(rows, cols):
        out[at_window] += x[at_pixel]
    out /= _count(rows, cols, count_include_pad, out)
    return out


def avg_pool2d_dx(g: Array, out: Array, *, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool) -> Array:
    """`reference.avg_pool2d_dx` as one division, then one sum a tap. About 3 KH KW times the bytes of g."""
    rows, cols = pool_axes(out.shape, g.shape, kernel, stride, padding)
    shares = g / _count(rows, cols, count_include_pad, out)
    out.fill(0)
    for _, _, at_window, at_pixel in _taps(rows, cols):
        out[at_pixel] += shares[at_window]
    return out


def _taps(rows: Axis, cols: Axis) -> Iterator[tuple[int, int, tuple[slice, ...], tuple[slice, ...]]]:
    """For each tap (kh, kw): where its windows lie in an output, and where the pixels it reads lie in an image."""
    everything = slice(None)
    for kh in range(rows.kernel):
        oh, h = rows.slices(kh)
        for kw in range(cols.kernel):
            ow, w = cols.slices(kw)
            yield kh, kw, (everything, oh, ow), (everything, h, w)


def _count(rows: Axis, cols: Axis, count_include_pad: bool, out: Array) -> Array:
    """By what each window's sum is divided: one number, or an array (OH, OW, 1) of out's dtype."""
    if count_include_pad or rows.padding == cols.padding == 0:
        return rows.kernel * cols.kernel
    high = [len(rows.window(o)) for o in range(rows.out)]
    wide = [len(cols.window(o)) for o in range(cols.out)]
    return namespace(out).asarray([[[a * b] for b in wide] for a in high], dtype=out.dtype)


def _check_contiguous(out: Array) -> None:
    """A reshape of any other layout is a copy, and what is written into a copy is lost."""
    if not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous, got shape {out.shape} with strides {out.strides}")


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


def batch_norm(x: Array, weight: Array, bias: Array, out: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    """`reference.batch_norm` in whole-array operations. About 40 M C bytes in float32."""
    xp = namespace(x, out)
    mean[...] = x.mean(axis=0)
    xp.subtract(x, mean, out=out)
    variance[...] = (out * out).mean(axis=0)
    out *= weight / xp.sqrt(variance + eps)
    out += bias
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
    """`reference.batch_norm_dx` in whole-array operations. About 60 M C bytes in float32."""
    spread = 1 / namespace(x, out).sqrt(variance + eps)
    h = (x - mean) * spread
    dbias[...] = g.sum(axis=0)
    dweight[...] = (g * h).sum(axis=0)
    h *= dweight / g.shape[0]
    out[...] = g - h
    out -= dbias / g.shape[0]
    out *= weight * spread
    return out
