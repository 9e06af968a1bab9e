"""Winograd's convolution F(2x2, 3x3) for 3x3 kernels at stride 1: 16 multiplications for 4 outputs instead of 36.

Tiles of 4x4 pixels and the kernels are transformed (`tiles.py`), multiplied channel by channel with the micro-kernels
of the direct convolution, and transformed back. The transforms add and halve, no more, and each sum has a ninth of the
terms: the rounding error is about half of the direct convolution's. What it cannot do is keep NaN and infinity where
they belong: a tile shares each pixel among all of its outputs, and inf - inf is NaN. So whoever calls is told if
something came out that is not finite, and then takes the direct way.

Lavin & Gray 2016, "Fast algorithms for convolutional neural networks".
"""

from typing import Any

import numpy as np

from tinyres_kernels.cpu import winograd_loops as loops
from tinyres_kernels.cpu.host import TARGET, threads
from tinyres_kernels.cpu.loops import PIXELS
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.geometry import Pair
from tinyres_kernels.namespace import Array

TILES = 56  # about as many as are transformed at a time: they stay in the cache
WORTH = 2e7  # multiplications of the direct sum, some 100 microseconds: in less there is little to win
LEAST = 32  # channels on both sides: with fewer, the transforms cost what the products save


def worthwhile(x: Any, kernel: Pair, channels: Pair, stride: Pair, dilation: Pair, groups: int) -> bool:
    """Whether the shapes allow it, and it was measured to win; channels: of x, and of what it is convolved into."""
    return (
        x.dtype == np.float32
        and kernel == (3, 3)
        and stride == dilation == (1, 1)
        and groups == 1
        and min(channels) >= LEAST
        and 9 * x.size * channels[1] >= WORTH
    )


def steps(tiles: int, vectors: int) -> Array:
    """Which tiles the micro-kernel takes together: pairs (first, count). The last may take some a second time."""
    found, first = [], 0
    while first < tiles:
        rest = tiles - first
        fitting = [size for size in PIXELS[vectors] if size <= tiles]
        size = min((s for s in fitting if s >= rest), default=fitting[0])
        found.append((min(first, tiles - size), size))
        first += size
    return np.array(found)


class _Plan:
    """How the work is cut up. Rows of channels are padded to whole vectors, and places lie an odd number of cache
    lines apart: the 16 that belong to a tile would otherwise fall into the same few sets of the cache."""

    def __init__(self, N: int, result: Pair, C: int, O: int, band_tiles: int = TILES) -> None:
        lanes = TARGET.lanes
        self.vectors = 1 if lanes >= O else 2
        self.wide = self.vectors * lanes
        self.blocks = -(-O // self.wide)
        self.high, self.across = -(-result[0] // 2), -(-result[1] // 2)
        self.lines = N * self.high
        self.band = max(1, min(band_tiles // self.across, self.lines))
        self.v_tile, self.m_tile = -(-C // lanes) * lanes, self.blocks * self.wide
        self.v_place, self.m_place = (self.band * self.across * n + 16 for n in (self.v_tile, self.m_tile))

    @property
    def work(self) -> tuple[int, ...]:
        return self.high, self.across, self.band, self.v_tile, self.v_place, self.m_tile, self.m_place


def convolve(x: Array, weights: Array, out: Array, padding: Pair) -> bool:
    """out = the convolution of x (N, H, W, C) with (3, 3, C, O) weights of any strides; False: it is not finite."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    plan = _Plan(N, (OH, OW), C, O)
    count = min(threads(4 * out.size * C), -(-plan.lines // plan.band))
    panels = scratch("panels", x.dtype, 16 * plan.blocks * C * plan.wide).reshape(16, plan.blocks, C, plan.wide)
    loops.transform_weights(threads(32 * weights.size), weights, panels)
    last = plan.lines % plan.band or plan.band
    lost = np.zeros(count, np.bool_)
    loops.forward(
        count, flat(x), panels.reshape(-1), out.reshape(-1), np.zeros(W * C, x.dtype),
        scratch("tiles", x.dtype, count * 16 * (plan.v_place + plan.m_place)),
        (N, H, W, C), (OH, OW, O), padding, plan.work, (plan.vectors, plan.wide, plan.blocks),
        steps(plan.band * plan.across, plan.vectors), steps(last * plan.across, plan.vectors), lost,
    )  # fmt: skip
    return not lost.any()


def weight_gradient(x: Array, g: Array, out: Array, padding: Pair) -> bool:
    """out (3, 3, C, O) = sum over pixels of x times g; False where it is not finite."""
    N, H, W, C = x.shape
    _, OH, OW, O = g.shape
    plan = _Plan(N, (OH, OW), C, O)
    count = min(threads(4 * g.size * C), plan.lines)
    private = plan.v_tile * plan.m_tile + plan.v_place + plan.m_place
    loops.weight_gradient(
        count, flat(x), flat(g), out, np.zeros(max(W * C, OW * O), x.dtype),
        scratch("tiles", x.dtype, count * 16 * private), np.arange(plan.band * plan.across) * plan.v_tile,
        (N, H, W, C), (OH, OW, O), padding, plan.work, (plan.vectors, plan.wide, plan.blocks, loops.TAPS),
    )  # fmt: skip
    return bool(np.isfinite(out).all())
