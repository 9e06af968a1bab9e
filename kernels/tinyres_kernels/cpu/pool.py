"""Pools and their adjoints, compiled: each row of a result belongs to one thread, channels run innermost.

Within a pixel the taps are taken in the order of `reference`. Max pooling keeps what it finds in registers (simd.py);
its adjoint adds number by number, which is less work than to look at every tap; elsewhere each tap is one pass over
contiguous channels. LLVM turns it into vectors, twenty times as fast, as long as a choice is a selection
(`a if c else b`) and no branch, and the arrays keep their four axes: in a flat one it cannot rule out a negative index,
which Python counts from the end.
"""

from functools import lru_cache
from math import prod

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.emit import clear
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.loops import inside
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Planner, Shape
from tinyres_kernels.cpu.simd import largest_tap
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import AvgPool, MaxPool

COST = 8  # multiplications that a number's way through memory is worth
# Which arguments are the images and the windows.
POOLS = {
    "max_pool2d": (0, 1),
    "max_pool2d_dx": (2, 0),
    "max_pool2d_take": (0, 2),
    "avg_pool2d": (0, 1),
    "avg_pool2d_dx": (1, 0),
}


def _planner(image: int, windows: int) -> Planner:
    def plan(
        shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: MaxPool | AvgPool
    ) -> Plan:
        s.axes(shapes[image], shapes[windows])
        work = COST * max(prod(shapes[image]), prod(shapes[windows]))
        return Plan("loop", threads=machine.threads_for(work, choices))

    return plan


PLANNERS |= {op: _planner(*places) for op, places in POOLS.items()}


@kernel
def _largest(t, threads, x, out, index, window):
    N, H, W, C = x.shape
    _, OH, OW, _ = out.shape
    KH, KW, sh, sw, ph, pw, dh, dw = window
    for row in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, top = row // OH, row % OH * sh - ph
        first_h, end_h = inside(top, dh, KH, H)
        for ow in range(OW):
            left = ow * sw - pw
            first_w, end_w = inside(left, dw, KW, W)
            corner = ((n * H + top + first_h * dh) * W + left + first_w * dw) * C
            largest_tap(x, corner, end_h - first_h, dh * W * C, end_w - first_w, dw * C, first_h * KW + first_w, KW,
                        C, out, index, (row * OW + ow) * C)  # fmt: skip


@kernel
def _to_winners(t, threads, g, index, out, window, offsets, further):
    """Each window adds to the pixel that it took, as far as this lies in the thread's own rows.

    offsets, further: of each tap the rows and columns, and the numbers, from the window's corner.
    """
    N, H, W, C = out.shape
    _, OH, OW, _ = g.shape
    KH, KW, sh, sw, ph, pw, dh, dw = window
    values, places, line = g.reshape(-1), index.reshape(-1), out.reshape(-1)
    taps = np.uint32(KH * KW)
    first, last = N * H * t // threads, N * H * (t + 1) // threads
    clear(line, first * W * C, (last - first) * W * C)
    for n in range(first // H, (last + H - 1) // H):
        low, high = max(0, first - n * H), min(H, last - n * H)  # own rows of this image
        for oh in range(max(0, (low + ph - (KH - 1) * dh + sh - 1) // sh), min(OH, (high - 1 + ph) // sh + 1)):
            top = oh * sh - ph
            for ow in range(OW):
                left = ow * sw - pw
                whole = top >= low and top + (KH - 1) * dh < high and left >= 0 and left + (KW - 1) * dw < W
                corner = ((n * H + top) * W + left) * C
                here = ((n * OH + oh) * OW + ow) * C
                for c in range(C):
                    tap = np.uint32(places[np.uintp(here + c)])  # a negative one becomes larger than all taps
                    if tap >= taps:
                        continue
                    h, w = (0, 0) if whole else (top + offsets[tap, 0], left + offsets[tap, 1])
                    if whole or (low <= h < high and 0 <= w < W):
                        line[np.uintp(corner + c) + further[np.uintp(tap)]] += values[np.uintp(here + c)]


@lru_cache(maxsize=64)
def _offsets(rows: Axis, cols: Axis, channels: int) -> tuple[Array, Array]:
    taps = np.indices((rows.kernel, cols.kernel)).reshape(2, -1).T * (rows.dilation, cols.dilation)
    return taps, ((taps[:, 0] * cols.size + taps[:, 1]) * channels).astype(np.uintp)


@kernel
def _from_winners(t, threads, u, index, out, window):
    N, H, W, C = u.shape
    _, OH, OW, _ = out.shape
    KH, KW, sh, sw, ph, pw, dh, dw = window
    for row in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, oh = row // OH, row % OH
        for ow in range(OW):
            for c in range(C):
                out[n, oh, ow, c] = 0
            for kh in range(KH):
                h = oh * sh - ph + kh * dh
                if h < 0 or h >= H:
                    continue
                for kw in range(KW):
                    w, place = ow * sw - pw + kw * dw, np.int32(kh * KW + kw)
                    if w < 0 or w >= W:
                        continue
                    for c in range(C):
                        value, old = u[n, h, w, c], out[n, oh, ow, c]
                        out[n, oh, ow, c] = value if index[n, oh, ow, c] == place else old


@kernel
def _means(t, threads, x, out, window, pads):
    N, H, W, C = x.shape
    _, OH, OW, _ = out.shape
    KH, KW, sh, sw, ph, pw, _, _ = window
    for row in range(N * OH * t // threads, N * OH * (t + 1) // threads):
        n, oh = row // OH, row % OH
        top, bottom = max(0, oh * sh - ph), min(H, oh * sh - ph + KH)
        for ow in range(OW):
            left, right = max(0, ow * sw - pw), min(W, ow * sw - pw + KW)
            for c in range(C):
                out[n, oh, ow, c] = 0
            for h in range(top, bottom):
                for w in range(left, right):
                    for c in range(C):
                        out[n, oh, ow, c] += x[n, h, w, c]
            count = out.dtype.type(KH * KW if pads else (bottom - top) * (right - left))
            for c in range(C):
                out[n, oh, ow, c] /= count


@kernel
def _shares(t, threads, g, out, window, pads):
    N, H, W, C = out.shape
    _, OH, OW, _ = g.shape
    KH, KW, sh, sw, ph, pw, _, _ = window
    for row in range(N * H * t // threads, N * H * (t + 1) // threads):
        n, h = row // H, row % H
        for w in range(W):
            for c in range(C):
                out[n, h, w, c] = 0
        for kh in range(KH):
            oh, off = (h + ph - kh) // sh, (h + ph - kh) % sh
            if off != 0 or oh < 0 or oh >= OH:
                continue
            high = min(H, oh * sh - ph + KH) - max(0, oh * sh - ph)
            for ow in range(OW):
                left, right = max(0, ow * sw - pw), min(W, ow * sw - pw + KW)
                count = out.dtype.type(KH * KW if pads else high * (right - left))
                for w in range(left, right):
                    for c in range(C):
                        out[n, h, w, c] += g[n, oh, ow, c] / count


def _window(axes: tuple[Axis, Axis]) -> tuple[int, ...]:
    """(KH, KW, sh, sw, ph, pw, dh, dw), as the loops take it."""
    rows, cols = axes
    return tuple(n for pair in zip(rows[2:], cols[2:], strict=True) for n in pair)


def _open(a: Array) -> Array:
    return flat(a).reshape(a.shape)


def _work(x: Array, out: Array) -> int:
    return threads(COST * max(x.size, out.size))


def max_pool2d(x: Array, out: Array, index: Array, s: MaxPool) -> None:
    """`reference.max_pool2d`, bit for bit. No multiplication; x, out and index pass through memory once."""
    axes = s.axes(x.shape, out.shape)
    _largest(_work(x, out), _open(x), out, index, _window(axes))


def max_pool2d_dx(g: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_dx`, from each window to the pixel that it took. The arrays pass through memory once."""
    axes = s.axes(out.shape, g.shape)
    offsets = _offsets(*axes, out.shape[3])
    _to_winners(_work(out, g), _open(g), _open(index), out, _window(axes), *offsets)


def max_pool2d_take(u: Array, index: Array, out: Array, s: MaxPool) -> None:
    """`reference.max_pool2d_take`, bit for bit, as KH KW selections a window. Each array passes through memory once."""
    axes = s.axes(u.shape, out.shape)
    _from_winners(_work(u, out), _open(u), _open(index), out, _window(axes))


def avg_pool2d(x: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d`; the sums run in out's dtype, tap by tap. x and out pass through memory once."""
    axes = s.axes(x.shape, out.shape)
    _means(_work(x, out), _open(x), out, _window(axes), s.count_include_pad)


def avg_pool2d_dx(g: Array, out: Array, s: AvgPool) -> None:
    """`reference.avg_pool2d_dx`, row by row from the windows that read it. g and out pass through memory once."""
    axes = s.axes(out.shape, g.shape)
    _shares(_work(out, g), _open(g), out, _window(axes), s.count_include_pad)
