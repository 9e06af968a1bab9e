"""The direct weight gradient: register tiles of taps by channels, summed over pixels.

Each thread has sums of its own, over its share of the images, which are then added in a fixed order.
"""

from math import isqrt
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cpu import loops
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.dot import images_at_a_time, vectors_of
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array


class Outer(NamedTuple):
    """The numbers that `loops.outer` is handed."""

    moves: tuple[Pair, Pair, Pair]  # stride, padding, dilation
    work: tuple[int, int, int, int, int, int]  # batch, span, across, private, share, pixels that are summed at a time
    tiles: tuple[int, int, int, int, int, bool, int]  # vectors, wide, taps, columns, padded run, direct, in_row
    line: int  # numbers in a row of the images that are read


def plan(
    x: tuple[int, ...],
    g: tuple[int, ...],
    out: tuple[int, ...],
    moves: tuple[Pair, Pair, Pair],
    groups: int,
    itemsize: int,
    machine: Machine,
    choices: Choices,
) -> Plan:
    """For images (N, H, W, C), cotangents (N, OH, OW, O) and a gradient (KH, KW, C / groups, O)."""
    N, _, W, C = x
    _, OH, OW, O = g
    KH, KW, CG, _ = out
    OG = O // groups
    stride, padding, dilation = moves
    lanes = machine.lanes(itemsize)
    vectors = vectors_of(OG, lanes)
    taps = machine.target.taps[vectors]
    merged = groups == 1 and dilation[1] == 1
    run, columns = (KW * CG, 1) if merged else (CG, KW)
    three = vectors == 1 and merged and KW == 3 and stride[1] == 1 and OW >= 2
    all_taps = choices.take("in_columns", three and (KH, CG) == (3, 3), machine.target.registers == 32)
    # How many rows of three taps next to each other are taken at a time.
    in_row = 3 if all_taps else int(choices.take("in_row", three and CG % machine.target.row_taps == 0))
    padded_run = run if in_row else -(-run // taps) * taps
    wide = vectors * lanes
    count = min(machine.threads_for(N * OH * OW * O * KH * KW * CG, choices), N)
    span = (OH - 1) * stride[0] + (KH - 1) * dilation[0] + 1
    across = (OW - 1) * stride[1] + (KW - 1) * dilation[1] + 1
    image = span * across * C
    # Else a tile may read past the last pixel. In a row, what would be read of the padding can be left out.
    inside = padding == (0, 0) and padded_run == run
    direct = choices.take("direct", inside or (in_row == 1 and padding[1] <= 1))
    batch = images_at_a_time(N, count, (image + OH * OW * O) * itemsize, choices)
    private = groups * KH * columns * -(-OG // wide) * padded_run * wide
    share = 0 if direct else batch * image + padded_run
    # Sums of the square root of all pixels, and as many of these sums, round least. With all taps, rows of all images
    # are taken a few at a time: with fewer than these, their ends cost time. In a row, those of an image at a time.
    least = min(int(choices.limit("pixels")), isqrt(N * OH * OW // count)) * (4 if all_taps else 1)
    summed = max(1, max(int(choices.limit("pixels_least")), least) // (1 if in_row == 1 else batch))
    how = Outer(
        moves,
        (batch, span, across, private, share, summed),
        (vectors, wide, taps, columns, padded_run, direct, in_row),
        (W if direct else across) * C,
    )
    traits = (
        "direct" if direct else "copied",
        {0: "", 1: "in a row", 3: "all taps"}[in_row],
        "merged taps" if merged else "tap by tap",
        "" if padded_run == run else "taps rounded up",
        "one vector" if vectors == 1 else "two vectors",
    )
    ends = (
        "several panels" if wide < OG else "",
        "a tail of channels" if OG % wide else "",
        "several tiles of taps" if taps < run else "",
        "several images at a time" if batch > 1 else "",
        "several sums" if summed < OH * OW else "",
        "several turns" if -(-N // batch) > count else "",
        "a last turn that is shorter" if N % batch else "",
        "a second row of taps" if KH > 1 else "",
    )
    return Plan("outer", traits, count, how, ends=ends)


def run(plan: Plan, x: Array, g: Array, out: Array) -> None:
    """out = the sum over pixels of x times g."""
    how: Outer = plan.how
    C, (_, OH, OW, O), (KH, KW, CG, _) = x.shape[3], g.shape, out.shape
    groups = C // CG
    stride, padding, dilation = how.moves
    places = np.add.outer(np.arange(OH) * (stride[0] * how.line), np.arange(OW) * (stride[1] * C)).reshape(-1)
    private, share = how.work[3:5]
    sums = scratch("images", x.dtype, plan.threads * (private + share))
    result, weight = (OH, OW, groups, O // groups), (KH, KW, CG)
    loops.outer(
        plan.threads, flat(x), flat(g), sums, places, x.shape, result, weight, (*stride, *padding, *dilation),
        how.work, how.tiles,
    )  # fmt: skip
    loops.add_shares(plan.threads, plan.threads, out.reshape(-1), sums, result, weight, how.work, how.tiles)
