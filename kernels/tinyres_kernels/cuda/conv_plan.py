"""Which tile the convolutions take, in how many parts; or Winograd's way. Nothing is run, and no card is asked.

The tile is the one whose time is foreseen to be the shortest. Each multiprocessor gets `ceil(blocks / 132)` blocks; it
multiplies 128 times a cycle, if it does nothing else, and a block that waits for memory once a slab, or once in as many
slabs as are on their way at once, takes at least that long:

    cycles = depth / parts * max(ceil(blocks / 132) rows columns / (128 share), rounds LATENCY / (ahead deep))
           + (SUM + parts results / RATE, where there are parts that are added up in another launch)

A large tile loads less for what it multiplies (a greater `share`); a small one leaves fewer multiprocessors without
work at the end, and fewer of its rows and columns beyond the matrix; parts of the depth bring work to multiprocessors
that have none, and must be added up.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cuda import host, winograd
from tinyres_kernels.cuda.card import LATENCY, LAUNCH, MEET, MULTIPROCESSORS, RATE, SUM, WARPS
from tinyres_kernels.cuda.conv_tile import Tile, Words, ahead, spares
from tinyres_kernels.cuda.conv_weights import AHEAD, FAN, fans
from tinyres_kernels.cuda.host import blocks
from tinyres_kernels.cuda.words import WIDE
from tinyres_kernels.geometry import Axis, Pair


class Offer(NamedTuple):
    """A tile, and the share of its inner loop's instructions that multiply, as the assembler leaves it for sm_90."""

    tile: Tile
    share: float


SINGLE = (
    Offer(Tile(128, 128, 16, 8, 8), 0.83),
    Offer(Tile(128, 64, 16, 8, 8), 0.82),
    Offer(Tile(64, 64, 16, 8, 4), 0.73),
    Offer(Tile(128, 32, 16, 8, 4), 0.71),
    Offer(Tile(64, 32, 16, 4, 4), 0.62),
    Offer(Tile(128, 16, 16, 8, 4), 0.66),
    Offer(Tile(64, 16, 16, 4, 4), 0.59),
    Offer(Tile(32, 16, 16, 4, 4), 0.58),
    Offer(Tile(128, 4, 8, 4, 4), 0.37),
)
# Where numbers must be copied one by one, a thread of a large tile has no registers for all the places in an image.
SCALAR = (
    Offer(Tile(64, 64, 16, 8, 4), 0.64),
    Offer(Tile(64, 32, 16, 4, 4), 0.51),
    Offer(Tile(64, 16, 16, 4, 4), 0.45),
    Offer(Tile(32, 16, 16, 4, 4), 0.43),
)
DOUBLE = (
    Offer(Tile(64, 64, 16, 4, 4), 0.60),
    Offer(Tile(64, 32, 8, 4, 4), 0.55),
    Offer(Tile(64, 16, 8, 4, 4), 0.45),
)
TINY = (Offer(Tile(16, 16, 4, 4, 4), 1.0),)  # for the simulator: 16 threads
HELD = 64  # numbers that a thread has registers for, on their way to be added to others
SHARE = 2 if host.SIMULATED else 8  # slabs of a part at least


def offers(dtype: object, words: Words) -> tuple[Offer, ...]:
    if host.SIMULATED:
        return TINY
    return DOUBLE if dtype != np.float32 else SINGLE if words.a == words.b == WIDE else SCALAR


class Plan(NamedTuple):
    """A tile, the number of parts, their size along the depth, and the cycles that are foreseen."""

    tile: Tile
    parts: int
    size: int
    cycles: float

    @property
    def way(self) -> str:
        return "tiled"


class Merging(NamedTuple):
    """Whether the last block to arrive adds up the parts of its tile, and the cycles that adding them up takes."""

    within: bool
    cycles: float


def merging(tile: Tile, parts: int, results: int, weights: bool) -> Merging:
    """How so many parts of so many results are added up, of `weight_kernel` or of `gather_kernel`.

    Within the launch a block meets others once a fan, and loads a fan's parts some at a time. Another launch adds up
    all tiles at once and takes the card less time as a rule, but it costs the host one more.
    """
    apart = SUM + parts * results / RATE
    if not weights or not spares(tile):
        return Merging(False, apart)
    within, left, together = 0.0, parts, max(1, HELD // (tile.down * tile.across))
    for count in fans(parts):
        within += MEET + blocks(min(left, FAN), together) * LATENCY
        left = count
    return Merging(True, within) if within <= apart + LAUNCH else Merging(False, apart)


@cache
def plan(
    dtype: object, words: Words, rows: int, columns: int, others: int, depth: int, split: bool, weights: bool = False,
    tile: Tile | None = None,
) -> Plan:  # fmt: skip
    """What is foreseen to be the fastest for `rows` x `columns` results, `others` times; `split`: in parts, too.

    weights: of `weight_kernel`, which has other slabs on their way than `gather_kernel`.
    """
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
            slabs_ahead = AHEAD if weights else ahead(dtype, of)
            cycles = size * max(work, blocks(own, of.resident) * LATENCY / (slabs_ahead * of.deep))
            if parts > 1:
                cycles += merging(of, parts, rows * columns * others, weights).cycles
            found.append((cycles, len(found), Plan(of, parts, size, cycles)))
    return min(found)[2]


class Gather(NamedTuple):
    """What `conv2d` or, turned, `conv2d_dx` has to do: the image that is read (N, H, W, channels), the result likewise,
    the axes, and how many numbers may be loaded at once."""

    dtype: object
    image: tuple[int, ...]
    result: tuple[int, ...]
    rows: Axis
    cols: Axis
    groups: int
    turn: bool
    words: Words

    @property
    def phases(self) -> Pair:
        _, OH, OW, _ = self.result
        return (min(self.rows.stride, OH), min(self.cols.stride, OW)) if self.turn else (1, 1)


@cache
def choose(gather: Gather, tile: Tile | None = None) -> Plan | winograd.Plan:
    """What is foreseen to be the fastest, on a card that is not asked. `tile`: the direct way, with this one."""
    (N, _, _, C), (_, OH, OW, O), phases = gather.image, gather.result, gather.phases
    pixels = N * blocks(OH, phases[0]) * blocks(OW, phases[1])
    groups, others = gather.groups, gather.groups * phases[0] * phases[1]
    taps = gather.rows.kernel * gather.cols.kernel
    depth = taps * (C // groups) // (phases[0] * phases[1])  # of a phase of the adjoint, about
    split = not gather.turn
    direct = plan(gather.dtype, gather.words, pixels, O // groups, others, depth, split, tile=tile)
    if tile is None and winograd.fits(gather.dtype, gather.rows, gather.cols, groups, C, O):
        other = winograd.plan(N, OH, OW, C, O)
        if other.cycles + LAUNCH <= winograd.ENOUGH * direct.cycles:  # that of its weights
            return other
    return direct
