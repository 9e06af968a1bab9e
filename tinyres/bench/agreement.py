"""Whether peers computed the same: a benchmark of wrong numbers would be worth nothing.

Results are compared by their largest difference, as a share of the largest number. That is a measure of rounding only
where the function is smooth: beside a kink (of a ReLU, or the maximum of a window) 1e-7 decides between 0 and a whole
gradient, and both peers are right. Whoever makes a work for a benchmark therefore keeps its inputs away from kinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Disagreement(NamedTuple):
    """Two peers gave different results of one work. gap: their largest difference as a share of the largest number;
    NaN where one of them is not finite."""

    work: str
    peers: tuple[str, str]
    gap: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.work}: {self.peers[0]} and {self.peers[1]} DISAGREE by {self.gap:.1e} of the largest number, "
            f"{self.allowed:.0e} is rounding: the times of this row mean nothing"
        )


def disagreements(work: str, results: Mapping[str, Any], allowed: float | Callable[[str], float]) -> list[Disagreement]:
    """Of each peer with the first one, where they differ by more than is allowed; arrays of one kind, or numbers.

    allowed: of all peers, or of a peer by its name.
    """
    (first, reference), *others = results.items()
    limit = allowed if callable(allowed) else lambda name: allowed
    found = [Disagreement(work, (name, first), gap(result, reference), limit(name)) for name, result in others]
    return [pair for pair in found if not pair.gap <= pair.allowed]


def gap(result: Any, reference: Any) -> float:
    """max |result - reference| / max |reference|, 0 / 0 being 0."""
    difference, largest = float(abs(result - reference).max()), float(abs(reference).max())
    if difference == 0:
        return 0.0
    return difference / largest if largest else math.inf
