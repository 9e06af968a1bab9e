"""The convolutions: which of the kernels does which, with which tile, and in how many parts.

`conv2d` and `conv2d_dx` are one kernel. Along an axis, the pixel i of the adjoint is read through tap k where
i + p - k d = s o. For the pixels of a phase, i = a + s q, the taps with (a + p - k d) divisible by s are known before
the start, and o = q + (a + p - k d) / s: that is a convolution at stride 1 with a part of the taps, whose windows are
walked backwards. A stride of s has s phases along an axis, and none of them multiplies by a zero in between. All phases
are one launch.

The tile is the one whose time is foreseen to be the shortest. Each multiprocessor gets `ceil(blocks / 132)` blocks; it
multiplies 128 times a cycle, if it does nothing else, and a block that waits for memory once a slab takes at least
that long:

    cycles = depth / parts * max(ceil(blocks / 132) rows columns / (128 share), rounds LATENCY / deep)
           + (SUM + parts results / RATE, where there are parts)

A large tile loads less for what it multiplies (a greater `share`); a small one leaves fewer multiprocessors without
work at the end, and fewer of its rows and columns beyond the matrix; parts of the depth bring work to multiprocessors
that have none, and must be added up.
"""

from functools import cache
from math import gcd
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cuda import conv_naive, host
from tinyres_kernels.cuda.conv_tiled import Tile, Words, gather_kernel
from tinyres_kernels.cuda.conv_weights import weight_kernel
from tinyres_kernels.cuda.host import blocks, check_contiguous, flat, launch, real
from tinyres_kernels.cuda.sums import add_parts
from tinyres_kernels.cuda.words import WIDE
from tinyres_kernels.geometry import Axis, Pair, conv_axes
from tinyres_kernels.namespace import Array, namespace


class Offer(NamedTuple):
    """A tile, and the share of its inner loop's instructions that multiply, as the assembler leaves it for sm_90."""

    tile: Tile
    share: float


SINGLE = (
    Offer(Tile(128, 128, 16, 8, 8), 0.82),
    Offer(Tile(128, 64, 16, 8, 8), 0.80),
    Offer(Tile(64, 64, 16, 8, 4), 0.73),
    Offer(Tile(128, 32, 16, 8, 4), 0.70),
    Offer(Tile(64, 32, 16, 4, 4), 0.62),
    Offer(Tile(128, 16, 16, 8, 4), 0.64),
    Offer(Tile(64, 16, 16, 4, 4), 0.57),
    Offer(Tile(32, 16, 16, 4, 4), 0.56),
    Offer(Tile(128, 4, 8, 4, 4), 0.35),
)
# Where numbers must be loaded one by one, a thread of a large tile has no registers for all that it loads at once.
SCALAR = (
    Offer(Tile(64, 64, 16, 8, 4), 0.60),
    Offer(Tile(64, 32, 16, 4, 4), 0.48),
    Offer(Tile(64, 16, 16, 4, 4), 0.40),
    Offer(Tile(32, 16, 16, 4, 4), 0.38),
)
DOUBLE = (
    Offer(Tile(64, 64, 16, 4, 4), 0.60),
    Offer(Tile(64, 32, 8, 4, 4), 0.55),
    Offer(Tile(64, 16, 8, 4, 4), 0.45),
)
TINY = (Offer(Tile(16, 16, 4, 4, 4), 1.0),)  # for the simulator: 16 threads
# As on an H100 or H200. No card is asked for its own, so all give the same bits. The simulator gets small numbers.
MULTIPROCESSORS = 3 if host.SIMULATED else 132
WARPS = 1 if host.SIMULATED else 8  # on a multiprocessor, that it is busy: two for each of its four schedulers
LATENCY = 0 if host.SIMULATED else 600  # cycles until a number has come from memory
SUM, RATE = (0 if host.SIMULATED else 4000), 285  # cycles until parts are being added up, and then numbers a cycle
SHARE = 2 if host.SIMULATED else 8  # slabs of a part at least
LEAST = 3  # columns of a group: with fewer, nearly all of a tile is idle
FIT = (1 << 31) - (1 << 20)  # numbers of an array that 32 bits count, and a tile more


def offers(dtype: object, words: Words) -> tuple[Offer, ...]:
    if host.SIMULATED:
        return TINY
    return DOUBLE if dtype != np.float32 else SINGLE if words.a == words.b == WIDE else SCALAR


class Plan(NamedTuple):
    """A tile, the number of parts, and their size along the depth."""

    tile: Tile
    parts: int
    size: int


@cache
def plan(
    dtype: object, words: Words, rows: int, columns: int, others: int, depth: int, split: bool, tile: Tile | None = None
) -> Plan:
    """What is foreseen to be the fastest for `rows` x `columns` results, `others` times; `split`: in parts, too."""
    found: list[tuple[float, int, Plan]] = []
    for offer in [Offer(tile, 1.0)] if tile else offers(dtype, words):
        of = offer.tile
        count = blocks(rows, of.rows) * blocks(columns, of.columns) * others
        slabs = blocks(depth, of.deep)
        busy = MULTIPROCESSORS * max(1, WARPS * 32 // of.threads)
        most = max(1, slabs // SHARE)
        for wanted in {1, *(min(most, max(1, turns * busy // count)) for turns in range(1, 5) if split)}:
            size = max(1, blocks(slabs, wanted)) * of.deep
            parts = max(1, blocks(depth, size))
            own = blocks(count * parts, MULTIPROCESSORS)
            work = own * of.rows * of.columns / (128 * offer.share)
            cycles = size * max(work, blocks(own, of.resident) * LATENCY / of.deep)
            if parts > 1:
                cycles += SUM + parts * rows * columns * others / RATE
            found.append((cycles, len(found), Plan(of, parts, size)))
    return min(found)[2]


def fit(*arrays: Array) -> bool:
    """Whether the tiled kernels, which count in 32 bits, reach every number of these."""
    return all(array.size < FIT for array in arrays)


def wide(array: Array, *counts: int) -> int:
    """How many numbers may be loaded at once where all runs of neighbours are multiples of these counts."""
    return WIDE if host.aligned(array) and all(count % WIDE == 0 for count in counts) else 1


def _numbers(axis: Axis, results: int) -> tuple[int, ...]:
    """An axis as the kernels take it."""
    hop = axis.stride // gcd(axis.stride, axis.dilation)
    return results, axis.stride, axis.padding, axis.dilation, axis.kernel, hop


def _gather(x: Array, w: Array, out: Array, rows: Axis, cols: Axis, groups: int, tile: Tile | None, turn: bool) -> None:
    """`gather_kernel` over all pixels, columns, groups and phases, and the sum of its parts."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    CG, OG = C // groups, O // groups
    phases = (min(rows.stride, OH), min(cols.stride, OW)) if turn else (1, 1)
    pixels = N * blocks(OH, phases[0]) * blocks(OW, phases[1])
    others = groups * phases[0] * phases[1]
    words = Words(wide(x, C, CG), wide(w, C, CG) if turn else wide(w, O, OG), wide(out, O, OG))
    depth = rows.kernel * cols.kernel * CG // (phases[0] * phases[1])  # of a phase of the adjoint, about
    tile, parts, size = plan(out.dtype, words, pixels, OG, others, depth, not turn, tile)
    made = gather_kernel(real(out), tile, words, turn)
    sums = namespace(x, w, out).empty(parts * out.size, out.dtype) if parts > 1 else flat(out)
    grid = blocks(pixels, tile.rows), blocks(OG, tile.columns), others * parts
    image = N, H, W, C, CG, OH, OW, O, OG, groups, size
    launch(made, grid, tile.threads, flat(x), flat(w), sums, image, _numbers(rows, OH), _numbers(cols, OW))
    if parts > 1:
        add_parts(sums, flat(out), parts)


def conv2d(
    x: Array,
    w: Array,
    out: Array,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tile: Tile | None = None,
) -> Array:
    """`reference.conv2d`, by tiles of pixels by outputs. `tile`: another than is chosen."""
    rows, cols = conv_axes(x.shape, w.shape, out.shape, stride, padding, dilation, groups)
    check_contiguous(out)
    if not x.size or not out.size:
        out.fill(0)
    elif tile is None and (w.shape[3] // groups < LEAST or not fit(x, w, out)):
        conv_naive.run(conv_naive.conv2d_naive, x, w, out, rows, cols)
    else:
        _gather(x, w, out, rows, cols, groups, tile, False)
    return out


def conv2d_dx(
    g: Array,
    w: Array,
    out: Array,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tile: Tile | None = None,
) -> Array:
    """`reference.conv2d_dx`, phase by phase, each by tiles of pixels by channels."""
    rows, cols = conv_axes(out.shape, w.shape, g.shape, stride, padding, dilation, groups)
    check_contiguous(out)
    if not g.size or not out.size:
        out.fill(0)
    elif tile is None and (w.shape[2] < LEAST or not fit(g, w, out)):
        conv_naive.run(conv_naive.conv2d_dx_naive, g, w, out, rows, cols)
    else:
        _gather(g, w, out, rows, cols, groups, tile, True)
    return out


def conv2d_dw(
    x: Array,
    g: Array,
    out: Array,
    *,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tile: Tile | None = None,
) -> Array:
    """`reference.conv2d_dw`, by tiles of taps and channels by outputs, each a part of the pixels; then their sum."""
    rows, cols = conv_axes(x.shape, out.shape, g.shape, stride, padding, dilation, groups)
    check_contiguous(out)
    if not x.size or not g.size:
        out.fill(0)
        return out
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    KH, KW, CG, _ = out.shape
    OG, weights, pixels = O // groups, KH * KW * CG, N * OH * OW
    if tile is None and (OG < LEAST or not fit(x, g, out)):
        return conv_naive.run_dw(x, g, out, rows, cols)
    words = Words(wide(x, C, CG), wide(g, O, OG), wide(out, O, OG))
    tile, parts, size = plan(out.dtype, words, weights, OG, groups, pixels, True, tile)
    grid = blocks(weights, tile.rows), blocks(OG, tile.columns)
    made = weight_kernel(real(out), tile, words)
    sums = namespace(x, g, out).empty(parts * out.size, out.dtype) if parts > 1 else flat(out)
    image = N, H, W, C, CG, OH, OW, O, OG, groups, size
    axes = _numbers(rows, OH), _numbers(cols, OW)
    launch(made, (*grid, groups * parts), tile.threads, flat(x), flat(g), sums, image, *axes)
    if parts > 1:
        add_parts(sums, flat(out), parts)
    return out
