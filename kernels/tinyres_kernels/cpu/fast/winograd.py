"""Winograd's convolution F(2x2, 3x3) for 3x3 kernels at stride 1: 16 multiplications for 4 outputs instead of 36.

Tiles of 4x4 pixels and the kernels are transformed (`tiles.py`), multiplied channel by channel with the micro-kernels
of the direct convolution, and transformed back. The transforms add and halve, no more, and each sum has a ninth of the
terms. Among pixels of one size the rounding error is about half of the direct convolution's. But a tile shares its
pixels among all of its outputs: a small result beside a large pixel bears the rounding of the large one, and beside
infinity it becomes NaN. So whoever calls is told if something came out that is not finite, and then takes the direct
way.

Lavin & Gray 2016 [lavin2016fast], "Fast algorithms for convolutional neural networks".
"""

from typing import NamedTuple

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.fast import winograd_loops as loops
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import Machine, Plan
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array


class Bands(NamedTuple):
    """How the work is cut up into bands of rows of tiles. Rows of channels are padded to whole vectors, and places lie
    an odd number of cache lines apart: the 16 that belong to a tile would otherwise fall into the same few sets of the
    cache."""

    padding: Pair
    vectors: int
    wide: int
    blocks: int
    lines: int  # rows of tiles, of all images
    work: tuple[int, int, int, int, int, int, int]  # high, across, band, v_tile, v_place, m_tile, m_place
    steps: Array  # which tiles the micro-kernel takes together, in a band
    last_steps: Array  # and in the last


def taken(
    x: tuple[int, ...],
    kernel: Pair,
    channels: Pair,
    itemsize: int,
    stride: Pair,
    dilation: Pair,
    groups: int,
    choices: Choices,
    padding: Pair = (0, 0),
    *,
    summed: bool = False,
) -> bool:
    """Whether to go this way: the shapes allow it, and it was measured to win. channels: of the image x (N, H, W, C)
    that is read, and of what it is convolved into; summed: for the weight gradient."""
    can = itemsize == 4 and kernel == (3, 3) and stride == dilation == (1, 1) and groups == 1 and min(padding) >= 0
    tiles = x[0] * -(-x[1] // 2) * -(-x[2] // 2)
    many = tiles >= choices.limit("winograd_outputs") * (3 if summed else 1)
    enough = many and min(channels) >= choices.limit("winograd_channels")
    work = 9 * x[0] * x[1] * x[2] * x[3] * channels[1]
    return choices.take("winograd", can, enough and work >= choices.limit("winograd_work"))


def steps(tiles: int, sizes: tuple[int, ...]) -> Array:
    """Which tiles the micro-kernel takes together: pairs (first, count). The last may take some a second time.

    sizes: of the micro-kernel, the largest first
    """
    found, first = [], 0
    while first < tiles:
        rest = tiles - first
        fitting = [size for size in sizes if size <= tiles]
        size = min((s for s in fitting if s >= rest), default=fitting[0])
        found.append((min(first, tiles - size), size))
        first += size
    return np.array(found)


def plan(
    images: int,
    result: Pair,
    channels: Pair,
    padding: Pair,
    machine: Machine,
    choices: Choices,
    *,
    summed: bool,
) -> Plan:
    """For this many images; result: rows and columns of the output; channels: of the image and of the output; summed:
    for the weight gradient, of which each thread has a sum of its own."""
    C, O = channels
    lanes = machine.target.lanes
    vectors = 1 if lanes >= O else 2
    wide = vectors * lanes
    blocks = -(-O // wide)
    high, across = -(-result[0] // 2), -(-result[1] // 2)
    lines = images * high
    band = max(1, min(int(choices.limit("winograd_tiles")) // across, lines))
    v_tile, m_tile = -(-C // lanes) * lanes, blocks * wide
    v_place, m_place = (band * across * n + 16 for n in (v_tile, m_tile))
    count = machine.threads_for(4 * images * result[0] * result[1] * O * C, choices)
    count = min(count, lines if summed else -(-lines // band))
    last = lines % band or band
    sizes = machine.target.pixels[vectors]
    how = Bands(
        padding, vectors, wide, blocks, lines, (high, across, band, v_tile, v_place, m_tile, m_place),
        steps(band * across, sizes), steps(last * across, sizes),
    )  # fmt: skip
    traits = (
        "one band" if band == lines else "a row a band" if band == 1 else "bands",
        "a shorter last band" if last != band and not summed else "",
        "half tiles" if result[0] % 2 or result[1] % 2 else "",
        "channels rounded up" if v_tile != C or m_tile != O else "",
        "one vector" if vectors == 1 else "two vectors",
    )
    ends = (
        "several panels" if blocks > 1 else "",
        "a tail of channels" if m_tile != O else "",
        "several images" if images > 1 else "",
        "several turns" if lines > band * count else "",
    )
    return Plan("winograd", traits, count, how, ends=ends)


def convolve(plan: Plan, x: Array, weights: Array, out: Array) -> bool:
    """out = the convolution of x (N, H, W, C) with (3, 3, C, O) weights of any strides; False: it is not finite."""
    how: Bands = plan.how
    _, _, W, C = x.shape
    _, OH, OW, O = out.shape
    v_place, m_place = how.work[4], how.work[6]
    size = 16 * how.blocks * C * how.wide
    panels = scratch("panels", x.dtype, size).reshape(16, how.blocks, C, how.wide)
    count = threads(32 * weights.size)
    taps = scratch("taps", x.dtype, count * 9 * how.wide).reshape(count, 3, 3, how.wide)
    loops.transform_weights(count, weights, panels, taps, loops.TERMS, loops.FACTORS.astype(x.dtype))
    lost = np.zeros(plan.threads, np.bool_)
    loops.forward(
        plan.threads, flat(x), panels.reshape(-1), out.reshape(-1), np.zeros(W * C, x.dtype),
        scratch("tiles", x.dtype, plan.threads * 16 * (v_place + m_place)),
        x.shape, (OH, OW, O), how.padding, how.work, (how.vectors, how.wide, how.blocks),
        how.steps, how.last_steps, lost,
    )  # fmt: skip
    return not lost.any()


def weight_gradient(plan: Plan, x: Array, g: Array, out: Array) -> bool:
    """out (3, 3, C, O) = sum over pixels of x times g; False where it is not finite."""
    how: Bands = plan.how
    _, _, W, C = x.shape
    _, OH, OW, O = g.shape
    _, across, band, v_tile, v_place, m_tile, m_place = how.work
    sums = scratch("tiles", x.dtype, plan.threads * 16 * (v_tile * m_tile + v_place + m_place))
    loops.weight_gradient(
        plan.threads, flat(x), flat(g), np.zeros(max(W * C, OW * O), x.dtype), sums,
        np.arange(band * across) * v_tile, x.shape, (OH, OW, O), how.padding, how.work,
        (how.vectors, how.wide, how.blocks, loops.TAPS),
    )  # fmt: skip
    loops.add_shares(plan.threads, plan.threads, out, sums, (x.shape[3], O), (v_tile, v_place, m_tile, m_place))
    return bool(np.isfinite(out).all())
