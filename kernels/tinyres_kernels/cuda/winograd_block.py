"""What a block of threads computes of Winograd's convolution, and how its threads share that."""

from typing import NamedTuple

PLACES, EACH = 16, 2  # places of a tile; how many of them a thread multiplies at


class Block(NamedTuple):
    """A block computes `tiles` x `columns` products at each place; a thread holds `down` x `across` of them.

    Slabs are `deep`. All are powers of two; `down` and `across` are multiples of 4.
    """

    tiles: int
    columns: int
    deep: int
    down: int
    across: int

    @property
    def lanes(self) -> tuple[int, int]:
        """The threads of a place: so many side by side, so many one under another. On a GPU they are a warp."""
        return self.columns // self.across, self.tiles // self.down

    @property
    def threads(self) -> int:
        return PLACES // EACH * self.lanes[0] * self.lanes[1]

    @property
    def resident(self) -> int:
        """Blocks on a multiprocessor at once: with 128 sums a thread needs twice as many registers as with 64."""
        return 1 if EACH * self.down * self.across > 64 else 2
