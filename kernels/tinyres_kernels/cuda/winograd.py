"""When the convolutions go Winograd's way, and how: 3x3 taps at stride 1, in float32, from 64 channels to 64 or more.

The time is foreseen as that of the direct way is (`conv.py`), with 16 products where a tile of 2x2 results took 36:

    cycles = channels * max(ceil(blocks / 132) 16 tiles columns / (128 share), rounds LATENCY / deep)
           + ends ceil(blocks / 132) + SUM + numbers / RATE

The share of multiplications is lower than the direct way's, since pixels are added up on the way into shared memory.
`ends` is what a block does before its first slab and behind its last one; the last line is the weights' own launch.

Rounding errors are those of the direct way, by norm; one by one they are not, since a small result beside a large pixel
bears the rounding of the large one. What is not finite stays where it belongs (`winograd_kernels.py` says how).
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.card import LATENCY, MULTIPROCESSORS, RATE, SUM
from tinyres_kernels.cuda.conv_measure import Measure
from tinyres_kernels.cuda.host import THREADS, blocks, flat, launch, real
from tinyres_kernels.cuda.winograd_block import PLACES, Block
from tinyres_kernels.cuda.winograd_kernels import winograd_kernel, winograd_weights_kernel
from tinyres_kernels.geometry import Axis, Pair
from tinyres_kernels.namespace import Array, namespace


class Offer(NamedTuple):
    """A block, the share of its inner loop's instructions that multiply, and the cycles of its beginning and end, as
    the assembler leaves them for sm_90."""

    block: Block
    share: float
    ends: int


OFFERS = (
    Offer(Block(32, 64, 4, 8, 8), 0.73, 3000),
    Offer(Block(32, 32, 4, 8, 4), 0.61, 2000),
)
TINY = (Offer(Block(16, 16, 4, 8, 4), 1.0, 0),)  # for the simulator: 64 threads
LEAST = 64  # channels that are read, and that are written
ENOUGH = 0.8  # of the direct way's time, at most: what is foreseen is not measured


class Plan(NamedTuple):
    """A block, and the cycles that are foreseen."""

    block: Block
    cycles: float

    @property
    def way(self) -> str:
        return "winograd"


def fits(dtype: object, rows: Axis, cols: Axis, groups: int, channels: int, columns: int) -> bool:
    """Whether a convolution, or its adjoint, can go this way, and is one of those that may be faster so."""
    axes = all((axis.kernel, axis.stride, axis.dilation) == (3, 1, 1) for axis in (rows, cols))
    return axes and groups == 1 and dtype == np.float32 and min(channels, columns) >= LEAST


@cache
def plan(images: int, high: int, wide: int, channels: int, columns: int) -> Plan:
    """The block that is foreseen to be the fastest for a result of so many images, pixels and columns."""
    found: list[tuple[float, int, Plan]] = []
    tiles = images * blocks(high, 2) * blocks(wide, 2)
    launched = SUM + (PLACES + 9) * channels * columns / RATE
    for block, share, ends in TINY if host.SIMULATED else OFFERS:
        own = blocks(blocks(tiles, block.tiles) * blocks(columns, block.columns), MULTIPROCESSORS)
        work = own * PLACES * block.tiles * block.columns / (128 * share)
        rounds = blocks(own, block.resident)
        cycles = channels * max(work, rounds * LATENCY / block.deep) + own * ends + launched
        found.append((cycles, len(found), Plan(block, cycles)))
    return min(found)[2]


def run(
    block: Block, x: Array, w: Array, out: Array, padding: Pair, turn: bool,
    then: Measure | None = None, given: tuple[int, ...] = (),
) -> None:  # fmt: skip
    """`conv2d`, or turned `conv2d_dx`: a convolution with all taps reversed, of which the padding is what 2 lacks.

    then, given: what follows."""
    N, H, W, C = x.shape
    _, OH, OW, O = out.shape
    tap = C * O
    if turn:  # w[2 - kh, 2 - kw, column, channel]: neighbours are channels
        padding, strides, along = (2 - padding[0], 2 - padding[1]), (8 * tap, -3 * tap, -tap, 1, C), block.deep
    else:  # w[kh, kw, channel, column]
        strides, along = (0, 3 * tap, tap, O, 1), 1
    weights = *strides, C, O
    wide = blocks(O, block.columns)
    u = namespace(x, w, out).empty(PLACES * blocks(C, block.deep) * block.deep * wide * block.columns, out.dtype)
    launch(winograd_weights_kernel(real(out), block), blocks(u.size // PLACES), THREADS, flat(w), u, weights, along)
    grid = blocks(N * blocks(OH, 2) * blocks(OW, 2), block.tiles), wide
    image = N, H, W, C, OH, OW, O, *padding
    made = winograd_kernel(real(out), block, *([then] if then else []))
    launch(made, grid, block.threads, flat(x), u, flat(w), flat(out), image, (*weights, *given))
