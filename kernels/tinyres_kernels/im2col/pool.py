"""Pools and their adjoints, tap by tap."""

from math import inf

from tinyres_kernels.geometry import Axis
from tinyres_kernels.im2col.taps import taps
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import AvgPool, MaxPool


def max_pool2d(x: Array, out: Array, index: Array, s: MaxPool) -> None:
    """`reference.max_pool2d` as a running maximum over the taps (whose zeros may differ from the winner's in sign).

    About 9 KH KW times the bytes of out. Each tap's pixels are first copied side by side: all that follows then runs
    over plain contiguous arrays, several times faster than over slices with C pixels in a row.
    """
    rows, cols = s.axes(x.shape, out.shape)
    xp = namespace(x, out)
    # A window of nothing but -inf has no pixel that exceeds the start: its first one wins, and padding is not first.
    top = xp.asarray([rows.window(o)[0][0] for o in range(rows.out)], dtype=index.dtype)
    left = xp.asarray([cols.window(o)[0][0] for o in range(cols.out)], dtype=index.dtype)
    index[...] = (top[:, None] * s.kernel[1] + left)[:, :, None]
    least = -inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
    out.fill(least)
    if any(s.padding):
        N, H, W, C = x.shape
        padded = xp.full((N, H + 2 * s.padding[0], W + 2 * s.padding[1], C), least, x.dtype)
        padded[:, s.padding[0] : s.padding[0] + H, s.padding[1] : s.padding[1] + W] = x
        x = padded
        rows, cols = (axis._replace(size=axis.size + 2 * axis.padding, padding=0) for axis in (rows, cols))
    for kh, kw, _, at_pixel in taps(rows, cols):  # without padding, every tap has a pixel in every window
        value = xp.ascontiguousarray(x[at_pixel])
        wins = ~(value <= out) & (out == out)  # greater, or the first NaN: nothing displaces a NaN
        xp.maximum(out, value, out=out)
        # Taps come in rising order, so the latest winner is the largest number.
        xp.maximum(index, wins * index.dtype.type(kh * s.kernel[1] + kw), out=index)


def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_dx` as one masked sum a tap. About 4 KH KW times the bytes of g."""
    rows, cols = s.axes(out.shape, g.shape)
    xp = namespace(g, index, out)
    out.fill(0)
    for kh, kw, at_window, at_pixel in taps(rows, cols):
        won = index[at_window] == kh * s.kernel[1] + kw
        out[at_pixel] += xp.where(won, g[at_window], 0)  # not a product: 0 * inf would be NaN


def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_take` as one masked copy a tap. About 3 KH KW times the bytes of out."""
    rows, cols = s.axes(u.shape, out.shape)
    xp = namespace(u, index, out)
    out.fill(0)
    for kh, kw, at_window, at_pixel in taps(rows, cols):
        xp.copyto(out[at_window], u[at_pixel], where=index[at_window] == kh * s.kernel[1] + kw)


def avg_pool2d(x: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d` as one sum a tap, then one division. About 3 KH KW times the bytes of out."""
    rows, cols = s.axes(x.shape, out.shape)
    out.fill(0)
    for _, _, at_window, at_pixel in taps(rows, cols):
        out[at_window] += x[at_pixel]
    out /= count(rows, cols, s.count_include_pad, out)


def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d_dx` as one division, then one sum a tap. About 3 KH KW times the bytes of g."""
    rows, cols = s.axes(out.shape, g.shape)
    shares = g / count(rows, cols, s.count_include_pad, out)
    out.fill(0)
    for _, _, at_window, at_pixel in taps(rows, cols):
        out[at_pixel] += shares[at_window]


def count(rows: Axis, cols: Axis, count_include_pad: bool, out: Array) -> Array:
    """By what each window's sum is divided: one number, or an array (OH, OW, 1) of out's dtype."""
    if count_include_pad or rows.padding == cols.padding == 0:
        return rows.kernel * cols.kernel
    high = [len(rows.window(o)) for o in range(rows.out)]
    wide = [len(cols.window(o)) for o in range(cols.out)]
    return namespace(out).asarray([[[a * b] for b in wide] for a in high], dtype=out.dtype)
