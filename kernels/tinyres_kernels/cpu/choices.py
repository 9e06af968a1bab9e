"""Every limit at which a kernel switches to another algorithm, in one table; and how to force an algorithm.

The limits were measured. They decide what is fast, never what is correct: every algorithm that can be forced must give
the same result. In `with forced(winograd_channels=1, in_row=False):` tests and curious readers run algorithms that the
sizes at hand would not choose.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

Wanted = tuple[tuple[str, Any], ...]  # what is forced, sorted by name: it is part of a plan's key


class Limit(NamedTuple):
    """The number at which another algorithm takes over, and why there."""

    value: float
    why: str


LIMITS = MappingProxyType(
    {
        "threads": Limit(0, "shares that work is cut into; 0: as many as Numba has threads"),
        "worth_a_thread": Limit(5e6, "multiplications, some 50 microseconds: below, waking the others costs more"),
        "worth_a_trial": Limit(2e8, "multiplications, a millisecond or more: then several ways are tried, once"),
        "images_bytes": Limit(1 << 20, "of images in and out that a thread works on at once: they stay in its cache"),
        "sum": Limit(256, "products that are summed at a time: so many rows of a panel stay in the nearest cache"),
        "pixels": Limit(512, "that dw sums at a time, at most: rounding errors grow with the length of a sum"),
        "pixels_least": Limit(64, "that dw sums at a time: with fewer, to store the sums costs too much"),
        "winograd_channels": Limit(32, "on both sides: with fewer, the transforms cost what the products save"),
        "winograd_work": Limit(
            2e7, "multiplications of the direct sum, some 100 microseconds: below, little is to win"
        ),
        "winograd_outputs": Limit(
            160, "tiles of all images, thrice that for dw: with fewer, the kernel's transform loses"
        ),
        "winograd_tiles": Limit(56, "about as many as are transformed at a time: they stay in the cache"),
        "strided_channels": Limit(64, "on both sides: with fewer, the transforms cost what the products save"),
        "strided_outputs": Limit(512, "pixels of all images: with fewer, the kernel's transform costs too much"),
        "strided_band": Limit(1280 << 10, "bytes of transformed tiles that a thread works on: they stay in its cache"),
        "product_channels": Limit(64, "on both sides of a 1x1 kernel, for its gradient to be a product of matrices"),
        "product_share": Limit(128, "of these, that each of several threads is to have: each lays out all cotangents"),
        "matmul_rows": Limit(16, "at least, for a thread"),
        "tiles_rows": Limit(32, "of a product: with fewer, to lay out the other matrix costs too much"),
        "tiles_columns": Limit(16, "of a product: with fewer, most of a tile is wasted"),
        "tiles_most": Limit(
            1024, "rows, terms and columns: BLAS is a tenth faster on products with as many of each or more"
        ),
        "fold": Limit(512, "numbers in a row, up to which rows of few channels are taken together"),
    }
)

FLAGS = MappingProxyType(
    {
        "blas": "1x1 as a matrix product; conv2d_dw where that does not make sums much longer",
        "tiles": "a matrix product in our own tiles, not by BLAS",
        "winograd": "3x3 at stride 1 by Winograd's F(2x2, 3x3)",
        "strided": "4x4 at stride 2 by Winograd's F(2x2, 2x2)",
        "subpixel": "conv2d_dx onto few channels: all phases of a stride at once",
        "depthwise": "small groups, or a channel each: lanes are channels of several groups",
        "direct": "read the images where they lie, instead of a padded copy",
        "split": "few images: share out the rows of each",
        "in_row": "three taps next to each other at a time",
        "paired": "one tile over two short rows",
        "in_columns": "conv2d_dw: all nine taps of three channels at a time",
    }
)

_wanted: ContextVar[Wanted] = ContextVar("wanted", default=())


def wanted() -> Wanted:
    """What is forced at the moment."""
    return _wanted.get()


@contextmanager
def forced(**choices: Any) -> Iterator[None]:
    """Take other ways inside the block: a limit is given a number, a flag True or False.

    Raises:
        ValueError: there is no such limit or flag. Inside the block kernels raise it, where a way that is to be taken
            cannot be.
    """
    unknown = [name for name in choices if name not in LIMITS and name not in FLAGS]
    if unknown:
        raise ValueError(f"forced: nothing is called {', '.join(unknown)}; there are {', '.join([*LIMITS, *FLAGS])}")
    token = _wanted.set(tuple(sorted((dict(_wanted.get()) | choices).items())))
    try:
        yield
    finally:
        _wanted.reset(token)


def limit(name: str) -> float:
    """The limit in force."""
    forced_ones = _wanted.get()
    value: float = dict(forced_ones).get(name, LIMITS[name].value) if forced_ones else LIMITS[name].value
    return value


class Choices:
    """The limits and flags that one plan is made under."""

    def __init__(self, wanted: Wanted = ()) -> None:
        self._wanted = dict(wanted)

    def limit(self, name: str) -> float:
        value: float = self._wanted.get(name, LIMITS[name].value)
        return value

    def take(self, name: str, can: bool, worth: bool = True) -> bool:
        """Whether to go this way: as forced, else where it can be done and is worth it."""
        want = self._wanted.get(name)
        if want is None:
            return can and worth
        if want and not can:
            raise ValueError(f"{name} was forced where it cannot be taken: it is {FLAGS[name]}")
        return bool(want)
