"""Winograd's convolution F(2x2, 2x2) for 4x4 kernels at stride 2: 9 multiplications for 4 outputs instead of 16.

The pixels of an image fall into four phases: rows and columns even or odd. Over these 4 C channels the 4x4 kernel at
stride 2 is a 2x2 kernel at stride 1; and each phase of dx is a 2x2 convolution of g at stride 1. Of both, tiles of 2x2
outputs are computed as in `winograd.py`, of which what is said there holds here, too: transforms that only add, and
what is not finite left to the direct way.
"""

from math import gcd
from typing import Any

import numpy as np

from tinyres_kernels.cpu import strided_loops as loops
from tinyres_kernels.cpu.host import TARGET, threads
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.winograd import steps
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array

BAND = 1280 * 1024  # bytes of transformed tiles that a thread works on at a time: they stay in its cache
LEAST = 64  # channels on both sides: with fewer, the transforms cost what the products save
LEAST_OUTPUTS = 512  # pixels of all images: with fewer, the transform of the kernel costs what the products save
LINE = 16  # numbers of a cache line


def worthwhile(y: Any, kernel: Pair, channels: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> bool:
    """Whether the shapes allow it, and it was measured to win; y: the outputs, or their cotangents."""
    return (
        y.dtype == np.float32
        and kernel == (4, 4)
        and stride == (2, 2)
        and max(padding) <= 3
        and dilation == (1, 1)
        and groups == 1
        and min(channels) >= LEAST
        and y.size // y.shape[3] >= LEAST_OUTPUTS
    )


def _odd(numbers: int) -> int:
    """At least so many, and an odd number of cache lines: powers of two fall into the same few sets of the cache."""
    return (-(-numbers // LINE) | 1) * LINE


class _Columns:
    """Channels of a result cut into blocks of one or two vectors."""

    def __init__(self, channels: int) -> None:
        self.vectors = 1 if channels <= TARGET.lanes else 2
        self.wide = self.vectors * TARGET.lanes
        self.blocks = -(-channels // self.wide)


def _band(lines: int, line_bytes: int, count: int) -> int:
    """Rows of tiles at a time: what fits the cache, and the same number of turns for all of `count` threads."""
    turns = -(-lines // (count * max(1, BAND // line_bytes)))
    return -(-lines // (count * turns))


def _transformed(w: Array, turned: bool, padding: Pair, columns: _Columns) -> tuple[Array, int, int]:
    """Panels for `loops.convolve`; the size of one, and of all of a place."""
    C, O = w.shape[2:]
    inputs, outer, inner = (O, 4, 1) if turned else (C, 1, 4)  # phases of the result, and of what is summed over
    panel = inner * inputs * columns.wide
    place = _odd(columns.blocks * panel)
    panels = scratch("panels", w.dtype, outer * 9 * place)
    count = threads(32 * w.size)
    share = _odd(4 * O * columns.wide) if turned else 0
    loops.transform_weights(
        count, flat(w), turned, panels, scratch("tiles", w.dtype, count * share), (C, O), padding,
        (columns.wide, 9 * place if turned else inputs * columns.wide, place, panel, share),
    )  # fmt: skip
    return panels, panel, place


def convolve(x: Array, w: Array, out: Array, padding: Pair) -> bool:
    """out = the convolution of x (N, H, W, C) with w (4, 4, C, O) at stride 2; False: it is not finite."""
    _, OH, OW, O = out.shape
    sources = np.array([[(a - padding[0], b - padding[1]) for a in range(2) for b in range(2)]])
    return _convolve(x, w, out, padding, 2, (OH, OW), sources, np.array([(0, OH, OW)]), (OW * O, O))


def image_gradient(g: Array, w: Array, out: Array, padding: Pair) -> bool:
    """out (N, H, W, C) = the adjoint of `convolve` in x, applied to g; False: it is not finite."""
    _, H, W, C = out.shape
    phases = [(a, b) for a in range(2) for b in range(2)]
    # Pixel i = 2 q + a is read by the outputs q - 1 + (a + p) // 2 and the next one.
    sources = np.array([[((a + padding[0]) // 2 - 1, (b + padding[1]) // 2 - 1)] for a, b in phases])
    targets = np.array([((a * W + b) * C, (H - a + 1) // 2, (W - b + 1) // 2) for a, b in phases])
    return _convolve(g, w, out, padding, 1, ((H + 1) // 2, (W + 1) // 2), sources, targets, (2 * W * C, 2 * C))


def _convolve(
    x: Array, w: Array, out: Array, padding: Pair, step: int, grid: Pair, sources: Array, targets: Array, strides: Pair
) -> bool:
    """`loops.convolve`; grid: pixels of a phase of out, which lie `strides` apart, as their tiles do `step` in x."""
    N, H, W, C = x.shape
    columns = _Columns(out.shape[3])
    panels, panel, panel_place = _transformed(w, step == 1, padding, columns)
    high, across = -(-grid[0] // 2), -(-grid[1] // 2)
    v_part = -(-C // TARGET.lanes) * TARGET.lanes
    v_tile, m_tile = _odd(sources.shape[1] * v_part), _odd(columns.blocks * columns.wide)
    lines = N * high
    count = min(threads(9 * lines * across * len(sources) * sources.shape[1] * C * out.shape[3]), lines)
    band = _band(lines, 9 * 4 * across * (v_tile + m_tile), count)
    v_place, m_place = _odd(band * across * v_tile), _odd(band * across * m_tile)
    last = lines % band or band
    lost = np.zeros(count, np.bool_)
    loops.convolve(
        count, flat(x), panels, out.reshape(-1), np.zeros(W * C, x.dtype),
        scratch("tiles", x.dtype, count * 9 * (v_place + m_place)),
        (N, H, W, C), (out[0].size, out.shape[3], *strides), sources, targets,
        (step, high, across, band, v_part, v_tile, v_place, m_tile, m_place, panel, panel_place),
        (columns.vectors, columns.wide, columns.blocks),
        steps(band * across, columns.vectors), steps(last * across, columns.vectors), lost,
    )  # fmt: skip
    return not lost.any()


def weight_gradient(x: Array, g: Array, out: Array, padding: Pair) -> bool:
    """out (4, 4, C, O) = sum over pixels of x times g; False where it is not finite."""
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    columns = _Columns(O)
    high, across = -(-OH // 2), -(-OW // 2)
    lines = N * high
    count = threads(36 * lines * across * C * O)
    splits = min(count // gcd(count, 4), columns.blocks)  # of the columns, so that the threads share out alike
    count = min(count, 4 * splits)
    most = min(4, -(-4 * splits // count))  # phases that a thread sums at a time
    v_tile, m_tile = _odd(C), _odd(-(-columns.blocks // splits) * columns.wide)
    s_place = _odd(-(-C // loops.TAPS) * loops.TAPS * m_tile)
    band = _band(lines, 9 * 4 * across * (v_tile + m_tile), 1)
    v_place, m_place = _odd(band * across * v_tile), _odd(band * across * m_tile)
    lost = np.zeros(count, np.bool_)
    loops.weight_gradient(
        count, flat(x), flat(g), out.reshape(-1), np.zeros(W * C, x.dtype),
        scratch("tiles", x.dtype, count * 9 * (most * s_place + v_place + m_place)),
        np.arange(band * across) * v_tile, (N, H, W, C), (OH, OW, O), padding,
        (high, across, band, v_tile, v_place, m_tile, m_place, m_tile, s_place),
        (columns.vectors, columns.wide, columns.blocks, splits, most, loops.TAPS), lost,
    )  # fmt: skip
    return not lost.any()
