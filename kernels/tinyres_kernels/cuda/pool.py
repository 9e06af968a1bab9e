"""Pools and their adjoints: one thread a result, which reads the window, or the windows that read its pixel."""

from tinyres_kernels.cuda.host import THREADS, blocks, cuda, jit, kernel, launch, pixel_of, real
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import AvgPool, MaxPool

# Along an axis, 4 numbers: number of taps, stride, padding, dilation.


@kernel("qqi44")
def max_pool2d_kernel(real):
    @jit
    def max_pool2d_kernel(x, out, index, rows, cols):
        i = cuda.grid(1)
        if i < out.size:
            KH, sh, ph, dh = rows
            KW, sw, pw, dw = cols
            n, oh, ow, c = pixel_of(i, out.shape)
            best, place = real(0), -1
            for kh in range(KH):
                h = oh * sh - ph + kh * dh
                if 0 <= h < x.shape[1]:
                    for kw in range(KW):
                        v = ow * sw - pw + kw * dw
                        if 0 <= v < x.shape[2]:
                            value = x[n, h, v, c]
                            # Nothing is larger than a NaN, so the first one stays.
                            if place < 0 or value > best or (value != value and best == best):
                                best, place = value, kh * KW + kw
            out[n, oh, ow, c] = best
            index[n, oh, ow, c] = place

    return max_pool2d_kernel


@kernel("qiq44")
def max_pool2d_dx_kernel(real):
    @jit
    def max_pool2d_dx_kernel(g, index, out, rows, cols):
        i = cuda.grid(1)
        if i < out.size:
            KH, sh, ph, dh = rows
            KW, sw, pw, dw = cols
            n, h, v, c = pixel_of(i, out.shape)
            total = real(0)
            for kh in range(KH):
                oh = (h + ph - kh * dh) // sh
                if oh * sh == h + ph - kh * dh and 0 <= oh < g.shape[1]:
                    for kw in range(KW):
                        ow = (v + pw - kw * dw) // sw
                        if ow * sw == v + pw - kw * dw and 0 <= ow < g.shape[2] and index[n, oh, ow, c] == kh * KW + kw:
                            total += g[n, oh, ow, c]
            out[n, h, v, c] = total

    return max_pool2d_dx_kernel


@kernel("qiq44")
def max_pool2d_take_kernel(real):
    @jit
    def max_pool2d_take_kernel(u, index, out, rows, cols):
        i = cuda.grid(1)
        if i < out.size:
            _, sh, ph, dh = rows
            KW, sw, pw, dw = cols
            n, oh, ow, c = pixel_of(i, out.shape)
            place = index[n, oh, ow, c]
            h, v = oh * sh - ph + place // KW * dh, ow * sw - pw + place % KW * dw
            inside = 0 <= h < u.shape[1] and 0 <= v < u.shape[2]
            out[n, oh, ow, c] = u[n, h, v, c] if inside else real(0)

    return max_pool2d_take_kernel


@kernel("qq44n")
def avg_pool2d_kernel(real):
    @jit
    def avg_pool2d_kernel(x, out, rows, cols, counts_padding):
        i = cuda.grid(1)
        if i < out.size:
            KH, sh, ph, _ = rows
            KW, sw, pw, _ = cols
            n, oh, ow, c = pixel_of(i, out.shape)
            top, left = oh * sh - ph, ow * sw - pw
            bottom, right = min(top + KH, x.shape[1]), min(left + KW, x.shape[2])
            top, left = max(top, 0), max(left, 0)
            total = real(0)
            for h in range(top, bottom):
                for v in range(left, right):
                    total += x[n, h, v, c]
            count = KH * KW if counts_padding else (bottom - top) * (right - left)
            out[n, oh, ow, c] = total / real(count)

    return avg_pool2d_kernel


@kernel("qq44n")
def avg_pool2d_dx_kernel(real):
    @jit
    def avg_pool2d_dx_kernel(g, out, rows, cols, counts_padding):
        i = cuda.grid(1)
        if i < out.size:
            H, W = out.shape[1], out.shape[2]
            KH, sh, ph, _ = rows
            KW, sw, pw, _ = cols
            n, h, v, c = pixel_of(i, out.shape)
            # The windows that hold the pixel: from the first whose end lies behind it to the last that begins before.
            first_h, last_h = max((h + ph - KH) // sh + 1, 0), min((h + ph) // sh, g.shape[1] - 1)
            first_w, last_w = max((v + pw - KW) // sw + 1, 0), min((v + pw) // sw, g.shape[2] - 1)
            total = real(0)
            for oh in range(first_h, last_h + 1):
                tall = min(oh * sh - ph + KH, H) - max(oh * sh - ph, 0)
                for ow in range(first_w, last_w + 1):
                    wide = min(ow * sw - pw + KW, W) - max(ow * sw - pw, 0)
                    total += g[n, oh, ow, c] / real(KH * KW if counts_padding else tall * wide)
            out[n, h, v, c] = total

    return avg_pool2d_dx_kernel


def _run(make: object, out: Array, axes: tuple[Axis, Axis], *arguments: Array | int) -> None:
    """One thread for each element of `out`; behind the arrays come the axes."""
    spans = [(axis.kernel, axis.stride, axis.padding, axis.dilation) for axis in axes]
    arrays = [a for a in arguments if not isinstance(a, int)]
    flags = [int(a) for a in arguments if isinstance(a, int)]
    launch(make(real(out)), blocks(out.size), THREADS, *arrays, *spans, *flags)  # type: ignore[operator]


def max_pool2d(x: Array, out: Array, index: Array, s: MaxPool) -> None:
    """`reference.max_pool2d`."""
    axes = s.axes(x.shape, out.shape)
    _run(max_pool2d_kernel, out, axes, x, out, index)


def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_dx`."""
    axes = s.axes(out.shape, g.shape)
    _run(max_pool2d_dx_kernel, out, axes, g, index, out)


def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_take`."""
    axes = s.axes(u.shape, out.shape)
    _run(max_pool2d_take_kernel, out, axes, u, index, out)


def avg_pool2d(x: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d`."""
    axes = s.axes(x.shape, out.shape)
    _run(avg_pool2d_kernel, out, axes, x, out, s.count_include_pad)


def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d_dx`."""
    axes = s.axes(out.shape, g.shape)
    _run(avg_pool2d_dx_kernel, out, axes, g, out, s.count_include_pad)
