"""Winograd's convolution F(2x2, 2x2) for 4x4 kernels at stride 2: 9 multiplications for 4 outputs instead of 16.

The pixels of an image fall into four phases: rows and columns even or odd. Over these 4 C channels the 4x4 kernel at
stride 2 is a 2x2 kernel at stride 1; and each phase of dx is a 2x2 convolution of g at stride 1. Of both, tiles of 2x2
outputs are computed as in `winograd.py`, of which what is said there holds here, too: transforms that only add, and
what is not finite left to the direct way.
"""

from math import gcd
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.fast import strided_loops as loops
from tinyres_kernels.cpu.fast.winograd import steps
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array

LINE = 16  # numbers of a cache line


class Columns(NamedTuple):
    """Channels of a result cut into blocks of one or two vectors."""

    vectors: int
    wide: int
    blocks: int

    @classmethod
    def of(cls, channels: int, lanes: int) -> "Columns":
        vectors = 1 if channels <= lanes else 2
        return cls(vectors, vectors * lanes, -(-channels // (vectors * lanes)))


class Bands(NamedTuple):
    """The numbers that the loops of `convolve` are handed; those of `weight_gradient` are fewer."""

    padding: Pair
    columns: Columns
    work: tuple[int, ...]
    strides: Pair  # from pixel to pixel of a phase of out
    sources: Array
    targets: Array
    steps: Array
    last_steps: Array
    panel: tuple[int, int, int]  # numbers of one, of all of a place, and whether the weights are turned round
    buffer: int


class Sums(NamedTuple):
    """The numbers that the loops of `weight_gradient` are handed."""

    padding: Pair
    work: tuple[int, ...]
    tiles: tuple[int, ...]
    buffer: int


def taken(
    y: tuple[int, ...],
    kernel: Pair,
    channels: Pair,
    itemsize: int,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    choices: Choices,
) -> bool:
    """Whether to go this way: the shapes allow it, and it was measured to win; y (N, OH, OW, O): the outputs, or their
    cotangents."""
    alike = itemsize == 4 and groups == 1 and kernel == (4, 4)
    can = alike and stride == (2, 2) and max(padding) <= 3 and dilation == (1, 1)
    enough = min(channels) >= choices.limit("strided_channels")
    return choices.take("strided", can, enough and y[0] * y[1] * y[2] >= choices.limit("strided_outputs"))


def _odd(numbers: int) -> int:
    """At least so many, and an odd number of cache lines: powers of two fall into the same few sets of the cache."""
    return (-(-numbers // LINE) | 1) * LINE


def _band(lines: int, line_bytes: int, count: int, choices: Choices) -> int:
    """Rows of tiles at a time: what fits the cache, and the same number of turns for all of `count` threads."""
    turns = -(-lines // (count * max(1, int(choices.limit("strided_band")) // line_bytes)))
    return -(-lines // (count * turns))


def plan(
    x: tuple[int, ...], out: tuple[int, ...], padding: Pair, machine: Machine, choices: Choices, *, turned: bool
) -> Plan:
    """For `convolve`, from images (N, H, W, C) to (N, OH, OW, O); `turned`: for `image_gradient`, from the cotangents
    (N, OH, OW, O) to (N, H, W, C)."""
    N, _, _, C = x
    _, H, W, O = out
    if turned:
        step, phases, parts = 1, 4, 1
        pairs = [(a, b) for a in range(2) for b in range(2)]
        # Pixel i = 2 q + a is read by the outputs q - 1 + (a + p) // 2 and the next one.
        sources = np.array([[((a + padding[0]) // 2 - 1, (b + padding[1]) // 2 - 1)] for a, b in pairs])
        targets = np.array([((a * W + b) * O, (H - a + 1) // 2, (W - b + 1) // 2) for a, b in pairs])
        grid, strides = ((H + 1) // 2, (W + 1) // 2), (2 * W * O, 2 * O)
    else:
        step, phases, parts = 2, 1, 4
        sources = np.array([[(a - padding[0], b - padding[1]) for a in range(2) for b in range(2)]])
        targets, grid, strides = np.array([(0, H, W)]), (H, W), (W * O, O)
    columns = Columns.of(O, machine.target.lanes)
    high, across = -(-grid[0] // 2), -(-grid[1] // 2)
    v_part = -(-C // machine.target.lanes) * machine.target.lanes
    v_tile, m_tile = _odd(parts * v_part), _odd(columns.blocks * columns.wide)
    lines = N * high
    count = min(machine.threads_for(9 * lines * across * phases * parts * C * O, choices), lines)
    band = _band(lines, 9 * 4 * across * (v_tile + m_tile), count, choices)
    v_place, m_place = _odd(band * across * v_tile), _odd(band * across * m_tile)
    panel = parts * C * columns.wide
    place = _odd(columns.blocks * panel)
    last = lines % band or band
    sizes = machine.target.pixels[columns.vectors]
    how = Bands(
        padding, columns, (step, high, across, band, v_part, v_tile, v_place, m_tile, m_place, panel, place), strides,
        sources, targets, steps(band * across, sizes), steps(last * across, sizes), (panel, place, turned),
        count * 9 * (v_place + m_place),
    )  # fmt: skip
    traits = (
        "one band" if band == lines else "a row a band" if band == 1 else "bands",
        "a shorter last band" if last != band else "",
        "half tiles" if grid[0] % 2 or grid[1] % 2 else "",
        "channels rounded up" if v_part != C or columns.blocks * columns.wide != O else "",
        "sums in parts" if C > loops.SUM else "",
        "one vector" if columns.vectors == 1 else "two vectors",
    )
    return Plan("strided", traits, count, how, ends=_ends(columns, O, N, lines, band * count))


def _ends(columns: Columns, channels: int, images: int, lines: int, together: int) -> tuple[str, ...]:
    return (
        "several panels" if columns.blocks > 1 else "",
        "a tail of channels" if columns.blocks * columns.wide != channels else "",
        "several images" if images > 1 else "",
        "several turns" if lines > together else "",
    )


def _transformed(how: Bands, w: Array) -> Array:
    """Panels for `loops.convolve`."""
    C, O = w.shape[2:]
    panel, place, turned = how.panel
    wide = how.columns.wide
    panels = scratch("panels", w.dtype, (4 if turned else 1) * 9 * place)
    count = threads(32 * w.size)
    share = _odd(4 * O * wide) if turned else 0
    loops.transform_weights(
        count, flat(w), turned, panels, scratch("tiles", w.dtype, count * share), (C, O), how.padding,
        (wide, 9 * place if turned else C * wide, place, panel, share),
    )  # fmt: skip
    return panels


def convolve(plan: Plan, x: Array, w: Array, out: Array) -> bool:
    """out = the convolution of x (N, H, W, C) with w (4, 4, C, O) at stride 2; where the plan is turned, its adjoint in
    the images, applied to x. False: it is not finite."""
    how: Bands = plan.how
    panels = _transformed(how, w)
    lost = np.zeros(plan.threads, np.bool_)
    loops.convolve(
        plan.threads, flat(x), panels, out.reshape(-1), np.zeros(x.shape[2] * x.shape[3], x.dtype),
        scratch("tiles", x.dtype, how.buffer), x.shape, (out[0].size, out.shape[3], *how.strides), how.sources,
        how.targets, how.work, tuple(how.columns), how.steps, how.last_steps, lost,
    )  # fmt: skip
    return not lost.any()


def plan_sums(x: tuple[int, ...], g: tuple[int, ...], padding: Pair, machine: Machine, choices: Choices) -> Plan:
    """For `weight_gradient`, from images (N, H, W, C) and cotangents (N, OH, OW, O)."""
    N, _, _, C = x
    _, OH, OW, O = g
    columns = Columns.of(O, machine.target.lanes)
    high, across = -(-OH // 2), -(-OW // 2)
    lines = N * high
    count = machine.threads_for(36 * lines * across * C * O, choices)
    splits = min(count // gcd(count, 4), columns.blocks)  # of the columns, so that the threads share out alike
    count = min(count, 4 * splits)
    most = min(4, -(-4 * splits // count))  # phases that a thread sums at a time
    v_tile, m_tile = _odd(C), _odd(-(-columns.blocks // splits) * columns.wide)
    s_place = _odd(-(-C // loops.TAPS) * loops.TAPS * m_tile)
    band = _band(lines, 9 * 4 * across * (v_tile + m_tile), 1, choices)
    v_place, m_place = _odd(band * across * v_tile), _odd(band * across * m_tile)
    how = Sums(
        padding, (high, across, band, v_tile, v_place, m_tile, m_place, m_tile, s_place),
        (*columns, splits, most, loops.TAPS), count * 9 * (most * s_place + v_place + m_place),
    )  # fmt: skip
    traits = (
        "one band" if band == lines else "a row a band" if band == 1 else "bands",
        "columns split" if splits > 1 else "",
        "half tiles" if OH % 2 or OW % 2 else "",
        "channels rounded up" if C % machine.target.lanes or columns.blocks * columns.wide != O else "",
        "one vector" if columns.vectors == 1 else "two vectors",
    )
    return Plan("strided", traits, count, how, ends=_ends(columns, O, N, lines, band))


def weight_gradient(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    """out (4, 4, C, O) = sum over pixels of x times g; False where it is not finite."""
    how: Sums = plan.how
    _, across, band, v_tile = how.work[:4]
    lost = np.zeros(plan.threads, np.bool_)
    loops.weight_gradient(
        plan.threads, flat(x), flat(g), out.reshape(-1), np.zeros(x.shape[2] * x.shape[3], x.dtype),
        scratch("tiles", x.dtype, how.buffer), np.arange(band * across) * v_tile, x.shape, g.shape[1:], how.padding,
        how.work, how.tiles, lost,
    )  # fmt: skip
    return not lost.any()
