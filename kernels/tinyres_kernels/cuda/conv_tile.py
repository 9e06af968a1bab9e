"""The tiles of the convolutions: their sizes, and what a thread and a multiprocessor have room for."""

from typing import Any, NamedTuple

import numpy as np

ROOM = 48 * 1024  # bytes of shared memory that a kernel may declare
SPARE = 4  # numbers behind each line of a slab that is stored across its lines


class Tile(NamedTuple):
    """`rows` x `columns` results of a block, of which a thread holds `down` x `across`; slabs are `deep`.

    All are powers of two; `down` and `across` are multiples of 4.
    """

    rows: int
    columns: int
    deep: int
    down: int
    across: int

    @property
    def threads(self) -> int:
        return self.rows // self.down * (self.columns // self.across)

    @property
    def resident(self) -> int:
        """Blocks on a multiprocessor at once, so that a thread has 128 registers, or 168 where blocks are small."""
        return max(1, (512 if self.threads >= 256 else 384) // self.threads)

    @property
    def lanes(self) -> tuple[int, int]:
        """How the threads of a warp lie: so many side by side, so many one under another."""
        along = min(8, self.columns // self.across)
        return along, min(32, self.threads) // along


class Words(NamedTuple):
    """How many numbers are loaded or stored at once, 1 or 4: of the first matrix, of the second, of the result."""

    a: int
    b: int
    out: int


class Norm(NamedTuple):
    """Batch norm that follows a convolution: its eps, and whether a sum and a ReLU come with it."""

    eps: float
    adds: bool
    relu: bool


def ahead(real: Any, tile: Tile) -> int:
    """How many slabs are on their way while one is multiplied: two, where there is room for three."""
    slab = tile.deep * (tile.rows + tile.columns + 2 * SPARE)
    return 2 if 3 * slab * np.dtype(real).itemsize <= ROOM else 1


def spares(tile: Tile) -> bool:
    """Whether a thread has registers for more than its sums at the end: that of the largest tile has none."""
    return tile.threads < 256
