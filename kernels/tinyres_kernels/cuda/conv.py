"""The convolutions: which of the kernels does which. `conv_plan` says with which tile, and in how many parts.

`conv2d` and `conv2d_dx` are one kernel. Along an axis, the pixel i of the adjoint is read through tap k where
i + p - k d = s o. For the pixels of a phase, i = a + s q, the taps with (a + p - k d) divisible by s are known before
the start, and o = q + (a + p - k d) / s: that is a convolution at stride 1 with a part of the taps, whose windows are
walked backwards. A stride of s has s phases along an axis, and none of them multiplies by a zero in between. All phases
are one launch.
"""

from math import gcd
from typing import Any

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.cuda import conv_naive, host, winograd
from tinyres_kernels.cuda.card import FIT
from tinyres_kernels.cuda.conv_measure import Measure
from tinyres_kernels.cuda.conv_plan import Gather, Plan, choose, merging, plan
from tinyres_kernels.cuda.conv_tile import Norm, Tile, Words
from tinyres_kernels.cuda.conv_tiled import gather_kernel
from tinyres_kernels.cuda.conv_weights import fans, weight_kernel
from tinyres_kernels.cuda.counters import counters
from tinyres_kernels.cuda.host import blocks, flat, launch, real
from tinyres_kernels.cuda.sums import add_parts
from tinyres_kernels.cuda.words import WIDE
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Conv

LEAST = 3  # columns of a group: with fewer, nearly all of a tile is idle


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


def _naive(x: Array, w: Array, out: Array, groups: int) -> bool:
    """Whether this is for the naive kernels: few columns, or more numbers than 32 bits count."""
    return out.shape[3] // groups < LEAST or not fit(x, w, out)


def _asked(x: Array, w: Array, out: Array, rows: Axis, cols: Axis, groups: int, turn: bool) -> Gather:
    C, O = x.shape[3], out.shape[3]
    CG, OG = C // groups, O // groups
    words = Words(wide(x, C, CG), wide(w, C, CG) if turn else wide(w, O, OG), wide(out, O, OG))
    return Gather(out.dtype, x.shape, out.shape, rows, cols, groups, turn, words)


def _gather(
    x: Array, w: Array, out: Array, gather: Gather, plan: Plan, then: Norm | Measure | None = None,
    given: tuple[int, ...] = (),
) -> None:  # fmt: skip
    """`gather_kernel` over all pixels, columns, groups and phases, and the sum of its parts. then, given: what follows
    where there are none."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    groups, phases, (tile, parts, size, _) = gather.groups, gather.phases, plan
    CG, OG = C // groups, O // groups
    pixels = N * blocks(OH, phases[0]) * blocks(OW, phases[1])
    made = gather_kernel(real(out), tile, gather.words, gather.turn, *([then] if then else []))
    sums = namespace(x, w, out).empty(parts * out.size, out.dtype) if parts > 1 else flat(out)
    grid = blocks(pixels, tile.rows), blocks(OG, tile.columns), groups * phases[0] * phases[1] * parts
    image = N, H, W, C, CG, OH, OW, O, OG, groups, size, *given
    axes = _numbers(gather.rows, OH), _numbers(gather.cols, OW)
    launch(made, grid, tile.threads, flat(x), flat(w), sums, image, *axes)
    if parts > 1:
        add_parts(sums, flat(out), parts)


def _convolve(
    x: Array, w: Array, out: Array, rows: Axis, cols: Axis, groups: int, tile: Tile | None, turn: bool
) -> None:
    """`conv2d`; turned, `conv2d_dx` with the cotangent as x."""
    if tile is None and _naive(x, w, out, groups):
        conv_naive.run(conv_naive.conv2d_dx_naive if turn else conv_naive.conv2d_naive, x, w, out, rows, cols)
        return
    gather = _asked(x, w, out, rows, cols, groups, turn)
    chosen = choose(gather, tile)
    if isinstance(chosen, winograd.Plan):
        winograd.run(chosen.block, x, w, out, (rows.padding, cols.padding), turn)
    else:
        _gather(x, w, out, gather, chosen)


def conv2d(x: Array, w: Array, out: Array, s: Conv, tile: Tile | None = None) -> None:
    """`reference.conv2d`, by tiles of pixels by outputs. `tile`: another than is chosen."""
    rows, cols = s.axes(x.shape, w.shape, out.shape)
    _convolve(x, w, out, rows, cols, s.groups, tile, False)


def conv2d_dx(g: Array, w: Array, out: Array, s: Conv, tile: Tile | None = None) -> None:
    """`reference.conv2d_dx`, phase by phase, each by tiles of pixels by channels."""
    rows, cols = s.axes(out.shape, w.shape, g.shape)
    _convolve(g, w, out, rows, cols, s.groups, tile, True)


def explain(op: str, *arrays: Any, **settings: Any) -> Plan | winograd.Plan | None:
    """How `conv2d` or `conv2d_dx` would be computed for these arguments; nothing is run.

    None for the naive way, for an empty image, and for all other operations, which have one way each.
    """
    given, s = OPERATIONS[op].split(arrays, settings)
    if op not in ("conv2d", "conv2d_dx") or not all(a.size for a in given):
        return None
    (x, w, out), turn = given, op == "conv2d_dx"
    if _naive(x, w, out, s.groups):
        return None
    rows, cols = s.axes(*(a.shape for a in ((out, w, x) if turn else (x, w, out))))
    found: Plan | winograd.Plan = choose(_asked(x, w, out, rows, cols, s.groups, turn))
    return found


def conv2d_dw(x: Array, g: Array, out: Array, s: Conv, tile: Tile | None = None) -> None:
    """`reference.conv2d_dw`, by tiles of taps and channels by outputs, each a part of the pixels; and their sum."""
    (rows, cols), groups = s.axes(x.shape, out.shape, g.shape), s.groups
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    KH, KW, CG, _ = out.shape
    OG, weights, pixels = O // groups, KH * KW * CG, N * OH * OW
    if tile is None and (OG < LEAST or not fit(x, g, out)):
        conv_naive.run_dw(x, g, out, rows, cols)
        return
    words = Words(wide(x, C, CG), wide(g, O, OG), wide(out, O, OG))
    tile, parts, size, _ = plan(out.dtype, words, weights, OG, groups, pixels, True, True, tile)
    grid = blocks(weights, tile.rows), blocks(OG, tile.columns), groups * parts
    made = weight_kernel(real(out), tile, words)
    within = parts > 1 and merging(tile, parts, out.size, True).within
    each = sum(fans(parts)) if within else 0
    tiles = grid[0] * grid[1] * groups
    size_apart = out.size if not within else tiles * tile.rows * tile.columns
    room = namespace(x, g, out).empty(parts * size_apart, out.dtype) if parts > 1 else flat(out)
    image = N, H, W, C, CG, OH, OW, O, OG, groups, size, parts if within else 1, each
    arrays = flat(x), flat(g), room, counters(x, tiles * each), flat(out) if within else room
    launch(made, grid, tile.threads, *arrays, image, _numbers(rows, OH), _numbers(cols, OW))
    if parts > 1 and not within:
        add_parts(room, flat(out), parts)
