"""The convolutions to read: one thread an output element, which gathers everything that it is the sum of.

No thread writes where another does, so the sums need no atomics and come out the same every time. Neighbouring threads
compute neighbouring channels: they read the same pixels and neighbouring weights. What they lack is reuse. A
multiplication and an addition cost two loads, so memory sets the pace: `conv_tiled` loads each number once for a whole
tile of results.
"""

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.host import THREADS, blocks, cuda, flat, jit, kernel, launch, pixel_of, real
from tinyres_kernels.cuda.sums import add_parts
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array, namespace

ENOUGH = 64 if host.SIMULATED else 1 << 18  # threads that keep all multiprocessors of a large GPU busy
# Along an axis: stride, padding, dilation, as `geometry.Axis` has them.


@kernel("qqq33")
def conv2d_naive(real):
    @jit
    def conv2d_naive(x, w, out, rows, cols):
        i = cuda.grid(1)
        if i < out.size:
            O = out.shape[3]
            H, W = x.shape[1], x.shape[2]
            KH, KW, CG = w.shape[0], w.shape[1], w.shape[2]
            groups = x.shape[3] // CG
            sh, ph, dh = rows
            sw, pw, dw = cols
            n, oh, ow, o = pixel_of(i, out.shape)
            c0 = o // (O // groups) * CG  # the first input channel of o's group
            total = real(0)
            for kh in range(KH):
                h = oh * sh - ph + kh * dh
                if 0 <= h < H:
                    for kw in range(KW):
                        v = ow * sw - pw + kw * dw
                        if 0 <= v < W:
                            for c in range(CG):
                                total += x[n, h, v, c0 + c] * w[kh, kw, c, o]
            out[n, oh, ow, o] = total

    return conv2d_naive


@kernel("qqq33")
def conv2d_dx_naive(real):
    @jit
    def conv2d_dx_naive(g, w, out, rows, cols):
        i = cuda.grid(1)
        if i < out.size:
            C = out.shape[3]
            OH, OW, O = g.shape[1], g.shape[2], g.shape[3]
            KH, KW, CG = w.shape[0], w.shape[1], w.shape[2]
            OG = O // (C // CG)
            sh, ph, dh = rows
            sw, pw, dw = cols
            n, h, v, channel = pixel_of(i, out.shape)
            c, o0 = channel % CG, channel // CG * OG
            total = real(0)
            for kh in range(KH):
                oh = (h + ph - kh * dh) // sh  # the window that reads this pixel through tap kh, if there is one
                if oh * sh == h + ph - kh * dh and 0 <= oh < OH:
                    for kw in range(KW):
                        ow = (v + pw - kw * dw) // sw
                        if ow * sw == v + pw - kw * dw and 0 <= ow < OW:
                            for o in range(o0, o0 + OG):
                                total += g[n, oh, ow, o] * w[kh, kw, c, o]
            out[n, h, v, channel] = total

    return conv2d_dx_naive


@kernel("qqr44nn")
def conv2d_dw_naive(real):
    """`out` has a line for each part: so many rows of windows."""

    @jit
    def conv2d_dw_naive(x, g, out, rows, cols, CG, size):
        i = cuda.grid(1)
        N, H, W, C = x.shape
        OH, OW, O = g.shape[1], g.shape[2], g.shape[3]
        sh, ph, dh, KH = rows
        sw, pw, dw, KW = cols
        if i < out.size:
            o, c, kw, kh = i % O, i // O % CG, i // (O * CG) % KW, i // (O * CG * KW) % KH
            part = i // (O * CG * KW * KH)
            channel = o // (O // (C // CG)) * CG + c
            total = real(0)
            for line in range(part * size, min(part * size + size, N * OH)):
                n, oh = line // OH, line % OH
                h = oh * sh - ph + kh * dh
                if 0 <= h < H:
                    row = real(0)  # a sum of sums, a row each: the rounding errors of one long sum would show
                    for ow in range(OW):
                        v = ow * sw - pw + kw * dw
                        if 0 <= v < W:
                            row += x[n, h, v, channel] * g[n, oh, ow, o]
                    total += row
            out[i] = total

    return conv2d_dw_naive


def run(make: object, a: Array, b: Array, out: Array, rows: Axis, cols: Axis) -> None:
    """One of the first two, over all elements of `out`."""
    settings = [(axis.stride, axis.padding, axis.dilation) for axis in (rows, cols)]
    launch(make(real(out)), blocks(out.size), THREADS, a, b, out, *settings)  # type: ignore[operator]


def run_dw(x: Array, g: Array, out: Array, rows: Axis, cols: Axis) -> None:
    """The third one, in as many parts as keep all multiprocessors busy, and their sum."""
    lines = g.shape[0] * g.shape[1]
    size = blocks(lines, max(1, ENOUGH // out.size))
    parts = blocks(lines, size)
    sums = namespace(x, g, out).empty(parts * out.size, out.dtype) if parts > 1 else flat(out)
    settings = [(axis.stride, axis.padding, axis.dilation, axis.kernel) for axis in (rows, cols)]
    launch(conv2d_dw_naive(real(out)), blocks(sums.size), THREADS, x, g, sums, *settings, out.shape[2], size)
    if parts > 1:
        add_parts(sums, flat(out), parts)
