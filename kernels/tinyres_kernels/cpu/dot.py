"""The direct convolution: register tiles of pixels by channels, over images padded into a buffer.

A few images at a time are copied, with their padding, into a buffer that stays in the core's own cache, or are read
where they lie; weights are packed into panels as wide as a tile; the micro-kernel then runs over them.
"""

from math import prod
from typing import NamedTuple

from tinyres_kernels.cpu import loops
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array


class Moves(NamedTuple):
    """How windows lie: `grid` is the first place, the step and the count in out, of rows and of columns."""

    grid: tuple[Pair, Pair, Pair]
    stride: Pair
    padding: Pair
    dilation: Pair


class Dot(NamedTuple):
    """The numbers that `loops.dot` is handed."""

    moves: Moves
    vectors: int
    wide: int
    batch: int  # images at a time
    blocks: int  # parts that the rows of an image are cut into
    span: int  # rows and columns that such a part reads
    across: int
    pieces: Pair
    flags: tuple[bool, bool, bool, bool]  # paired, direct, merged, in_row
    sizes: tuple[int, ...]
    buffer: int


def vectors_of(channels: int, lanes: int) -> int:
    """Vectors in a row of a tile: two, unless one holds all channels of a group."""
    return 1 if channels <= lanes else 2


def _tiles(width: int, height: int, sizes: tuple[int, ...], choices: Choices) -> tuple[tuple[int, ...], bool]:
    """Pixels in a tile and the smaller sizes for what is left; whether a tile covers two rows: whatever computes the
    fewest pixels twice."""
    best, cost = 1, 1e9
    for size in sizes:
        if size <= width:
            spent = -(-width // size) * size / width
            penalty = 1.0 + 1.5 / size  # larger tiles load less
            if spent * penalty < cost:
                best, cost = size, spent * penalty
    paired = choices.take("paired", 2 * width in sizes and height >= 2)
    best = 2 * width if paired else best
    return (*(s for s in sizes if s <= best), *(1,) * len(sizes))[: len(sizes)], paired


def images_at_a_time(images: int, threads: int, bytes_each: int, choices: Choices) -> int:
    """How many images a thread takes at a time: what fits its cache, and the same number of turns for all threads."""
    turns = -(-images // (threads * max(1, int(choices.limit("images_bytes")) // bytes_each)))
    return -(-images // (threads * turns))


def _pieces(rows: int, columns: int, run: int, most: int) -> Pair:
    """How many rows of taps are summed at a time, and of a row how much of each of its `columns` runs."""
    if columns * run <= most:
        return min(rows, most // (columns * run)), run
    return 1, -(-run // -(-columns * run // most))


def plan(
    x: tuple[int, ...],
    weights: tuple[int, ...],
    moves: Moves,
    itemsize: int,
    machine: Machine,
    choices: Choices,
) -> Plan:
    """For images (N, H, W, C) and (G, KH, KW, in, out) weights."""
    N, H, W, C = x
    groups, KH, KW, CG, OG = weights
    OH, OW = moves.grid[2]
    stride, padding, dilation = moves.stride, moves.padding, moves.dilation
    lanes = machine.lanes(itemsize)
    vectors = vectors_of(OG, lanes)
    wide = vectors * lanes
    sizes, paired = _tiles(OW, OH, machine.target.pixels[vectors], choices)
    count = machine.threads_for(N * OH * OW * OG * groups * KH * KW * CG, choices)
    few = choices.take("split", OH >= 4, 2 * count > N)  # images: split their rows
    blocks = min(OH // 2, max(2, -(-2 * count // N))) if few else 1
    span = (-(-OH // blocks) - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    across = (OW - 1) * stride[1] + (KW - 1) * dilation[1] + 1
    image = span * across * C
    reach = (OH - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    # Where no window leaves the image, no copy is needed.
    direct = choices.take("direct", padding == (0, 0) and reach <= H and across <= W)
    batch = 1 if blocks > 1 else images_at_a_time(N, count, (image + OH * OW * OG * groups) * itemsize, choices)
    row = machine.target.pixels[1][0]
    in_row = choices.take("in_row", vectors == 1 and KW == 3 and stride[1] == dilation[1] == 1 and row <= OW)
    merged = groups == 1 and dilation[1] == 1 and not in_row
    columns, run = (1, KW * CG) if merged else (KW, CG)
    pieces = _pieces(KH, columns, run, int(choices.limit("sum")))
    how = Dot(
        moves, vectors, wide, batch, blocks, span, across, pieces, (paired, direct, merged, in_row), sizes,
        1 if direct else count * batch * image,
    )  # fmt: skip
    traits = (
        "direct" if direct else "copied",
        "rows split" if blocks > 1 else "",
        "in a row" if in_row else "two rows" if paired else "",
        "" if in_row else "merged taps" if merged else "tap by tap",
        "" if pieces == (KH, run) else "rows of taps" if pieces[1] == run else "parts of a row",
        "one vector" if vectors == 1 else "two vectors",
    )
    whole, turns = pieces == (KH, run), -(-N // batch) * blocks
    ends = (
        "several panels" if wide < OG else "",
        "a tail of channels" if OG % wide else "",
        "" if paired or OW % sizes[0] == 0 else "a tile that overlaps" if whole else "smaller tiles",
        "an odd row" if paired and -(-OH // blocks) % 2 else "",
        "several images at a time" if batch > 1 else "",
        "several turns" if turns > count else "",
        "a last turn that is shorter" if N % batch or OH % blocks else "",
        "a second row of taps" if KH > 1 else "",
    )
    return Plan("dot", traits, count, how, ends=ends)


def _panels(weights: Array, wide: int) -> Array:
    """(G, KH, KW, in, out) as panels (G, blocks, KH KW in, wide), zeros beyond the last channel."""
    groups, kh, kw, inputs, outputs = weights.shape
    shape = groups, -(-outputs // wide), kh * kw * inputs, wide
    panels = scratch("panels", weights.dtype, prod(shape)).reshape(shape)
    loops.pack(threads(32 * weights.size), weights, panels)  # memory work: a number costs as much as many products
    return panels


def run(plan: Plan, x: Array, weights: Array, out: Array) -> None:
    """out[grid] = the convolution of x with (G, KH, KW, in, out) weights."""
    how: Dot = plan.how
    groups, KH, KW, CG, OG = weights.shape
    (first, step, count), stride, padding, dilation = how.moves
    loops.dot(
        plan.threads, flat(x), _panels(weights, how.wide).reshape(-1), out.reshape(-1),
        scratch("images", x.dtype, how.buffer), x.shape, (*count, groups, OG), (KH, KW, CG),
        (*stride, *padding, *dilation), (*first, *step, *out.shape[1:]),
        (how.batch, how.blocks, how.span, how.across, *how.pieces), (how.vectors, how.wide, *how.flags), how.sizes,
    )  # fmt: skip
