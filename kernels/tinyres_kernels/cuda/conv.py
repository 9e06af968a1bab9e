"""The convolutions: which of the kernels does which, and where each one's windows lie.

`conv2d` and `conv2d_dx` are one kernel. Along an axis, the pixel i of the adjoint is read through tap k where
i + p - k d = s o. For the pixels of a phase, i = a + s q, the taps with (a + p - k d) divisible by s are known before
the start, and o = q + (a + p - k d) / s: that is a convolution at stride 1 with a part of the taps, whose windows are
walked backwards. A stride of s has s phases along an axis, and none of them multiplies by a zero in between.
"""

from math import gcd
from typing import NamedTuple

from tinyres_kernels.cuda import conv_naive, host
from tinyres_kernels.cuda.conv_tiled import Tile, gather_kernel, weight_kernel
from tinyres_kernels.cuda.host import THREADS, blocks, check_contiguous, cuda, flat, jit, kernel, launch, real
from tinyres_kernels.geometry import Axis, Pair, conv_axes
from tinyres_kernels.namespace import Array, namespace

# Rows, columns, depth of a slab; rows and columns of a thread. 64 sums of float32, or 16 of float64, are as many as
# leave registers for the rest.
SINGLE = (
    Tile(128, 128, 8, 8, 8, 64),
    Tile(128, 64, 8, 8, 4, 64),
    Tile(128, 32, 8, 8, 4, 64),
    Tile(128, 16, 8, 8, 2, 64),
)
DOUBLE = (Tile(64, 64, 8, 4, 4, 64), Tile(64, 32, 8, 4, 4, 64), Tile(64, 16, 8, 4, 2, 64))
TINY = (Tile(8, 4, 4, 2, 2, 2),)  # for the simulator: 8 threads
LEAST = 8  # columns of a group: in fewer, a tile is mostly idle
ENOUGH = 512  # blocks to keep all multiprocessors of a large GPU busy, some of them twice


class Span(NamedTuple):
    """One axis of `gather_kernel`: where windows lie, and where their results go."""

    results: int
    stride: int
    shift: int
    move: int
    taps: int
    first: int
    step: int


def tile_for(dtype: object, columns: int) -> Tile | None:
    """The narrowest tile that holds so many columns of a group, or else the widest; None where the naive way is as
    good."""
    if columns < (3 if host.SIMULATED else LEAST):
        return None
    tiles = TINY if host.SIMULATED else SINGLE if dtype == "float32" else DOUBLE
    return next((tile for tile in reversed(tiles) if tile.columns >= columns), tiles[0])


@kernel("rrn")
def sum_kernel(real):
    @jit
    def sum_kernel(parts, out, count):
        i = cuda.grid(1)
        if i < out.size:
            total = real(0)
            for part in range(count):  # in this order, always
                total += parts[part * out.size + i]
            out[i] = total

    return sum_kernel


def _phases(axis: Axis) -> list[tuple[slice, Span]]:
    """The phases of the adjoint along an axis: the taps of each, and its windows into the cotangent."""
    found = []
    for a in range(min(axis.stride, axis.size)):
        taps = [k for k in range(axis.kernel) if (a + axis.padding - k * axis.dilation) % axis.stride == 0]
        hop = axis.stride // gcd(axis.stride, axis.dilation)
        first = taps[0] if taps else 0
        shift = (a + axis.padding - first * axis.dilation) // axis.stride
        count = len(range(a, axis.size, axis.stride))
        chosen = slice(first, None, hop) if taps else slice(0, 0)
        found.append((chosen, Span(count, 1, shift, -hop * axis.dilation // axis.stride, len(taps), a, axis.stride)))
    return found


def _gather(x: Array, w: Array, out: Array, rows: Span, cols: Span, groups: int, tile: Tile) -> None:
    """`gather_kernel` over all pixels, columns and groups. w is (taps, taps, C / groups, O)."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    OG = O // groups
    grid = (blocks(N * rows.results * cols.results, tile.rows), blocks(OG, tile.columns), groups)
    image = (N, H, W, C, C // groups, OH, OW, O, OG)
    # A phase without taps still has pixels, which are zero; its weights are empty, which no kernel takes.
    weights = flat(w) if w.size else flat(x)
    launch(
        gather_kernel(real(out), tile), grid, tile.threads, flat(x), weights, flat(out), image, tuple(rows), tuple(cols)
    )


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
        return out
    tile = tile or tile_for(out.dtype, w.shape[3] // groups)
    if tile is None:
        return conv_naive.run(conv_naive.conv2d_naive, x, w, out, rows, cols)
    down, along = (Span(a.out, a.stride, -a.padding, a.dilation, a.kernel, 0, 1) for a in (rows, cols))
    _gather(x, w, out, down, along, groups, tile)
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
        return out
    KH, KW, CG, O = w.shape
    tile = tile or tile_for(out.dtype, CG)
    if tile is None:
        return conv_naive.run(conv_naive.conv2d_dx_naive, g, w, out, rows, cols)
    turned = w.reshape(KH, KW, CG, groups, O // groups).transpose(0, 1, 4, 3, 2)  # (KH, KW, O / groups, groups, CG)
    turned = turned.reshape(KH, KW, O // groups, groups * CG)
    for taps_h, down in _phases(rows):
        for taps_w, along in _phases(cols):
            _gather(g, turned[taps_h, taps_w], out, down, along, groups, tile)
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
    tile = tile or tile_for(out.dtype, O // groups)
    if tile is None:
        return conv_naive.run(conv_naive.conv2d_dw_naive, x, g, out, rows, cols)
    down, across = blocks(KH * KW * CG, tile.rows), blocks(O // groups, tile.columns)
    slabs = blocks(N * OH * OW, tile.deep)
    parts = max(1, min(ENOUGH // (down * across * groups), slabs // tile.share))
    part_size = blocks(slabs, parts) * tile.deep
    parts = blocks(N * OH * OW, part_size)
    sums = namespace(x, g, out).empty(parts * out.size, out.dtype) if parts > 1 else flat(out)
    image = (N, H, W, C, CG, OH, OW, O, O // groups, part_size)
    spans = [(axis.stride, axis.padding, axis.dilation, axis.kernel) for axis in (rows, cols)]
    grid = (down, across, groups * parts)
    launch(weight_kernel(real(out), tile), grid, tile.threads, flat(x), flat(g), sums, image, *spans)
    if parts > 1:
        launch(sum_kernel(real(out)), blocks(out.size), THREADS, sums, flat(out), parts)
    return out
