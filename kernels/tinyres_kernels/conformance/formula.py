"""A well-known wrong formula for an operation, and what it is computed from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tinyres_kernels.conformance.calling import Arrays, specification

USUAL = tuple(10.0**-k for k in range(3, 17))  # what people add so that nothing is divided by 0


class Given(NamedTuple):
    """A case to compute a formula for: its arrays, in float64 and as they are, its settings, and what is right."""

    op: str
    wide: Arrays
    own: Arrays
    s: dict[str, Any]
    needed: Arrays
    order: list[str]

    def specified(self, wide: Arrays, s: dict[str, Any]) -> Arrays:
        """The operation as specified, with other arrays or settings."""
        return specification(self.op, wide, self.needed, s, self.order)


class Known(NamedTuple):
    """A wrong formula: what is said of it, some results by it, and the heading, where it is known better from it."""

    text: str
    results: Callable[[Given], Arrays]
    heading: str = ""


__all__ = ["USUAL", "Given", "Known"]
