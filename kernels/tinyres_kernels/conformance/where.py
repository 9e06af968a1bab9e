"""Where the wrong elements lie, of a kernel that fails in every case: in the last row, or the first channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import RIGHT, Finding

ENDS = {-1: "last", 0: "first"}
FEWEST, SHARE = 4, 0.6  # cases that must show it, and the share of those that could


class End(NamedTuple):
    """One end of one axis of a result."""

    result: str
    axis: int
    noun: str
    end: int

    @property
    def text(self) -> str:
        return f"the {ENDS[self.end]} {self.noun} of {self.result}"

    def could_show(self, finding: Finding) -> bool:
        marks = finding.marks.get(self.result)
        return marks is not None and marks.shape[self.axis] > 1

    def forgiven(self, finding: Finding) -> Finding:
        """The finding without what is wrong there; right, if that was all."""
        marks = {name: array.copy() for name, array in finding.marks.items()}
        if self.result in marks:
            marks[self.result][(slice(None),) * self.axis + (self.end,)] = RIGHT
        rest = replace(finding, marks=marks)
        return rest if rest.wrong else replace(rest, faults=[], signs=set())


def end_of(findings: Sequence[Finding]) -> End | None:
    """The end of an axis at which most of these findings have all their wrong elements; None if there is none."""
    case = findings[0].case
    nouns = case.op.family.nouns
    for result in case.writes:
        for axis, name in enumerate(case.axes(result)):
            for end in ENDS if name in nouns else ():
                place = End(result.name, axis, nouns[name], end)
                able = [finding for finding in findings if place.could_show(finding)]
                shown = sum(place.forgiven(finding).ok for finding in able)
                if shown >= FEWEST and shown >= SHARE * len(able):
                    return place
    return None


def forgiving(examine: Callable[[Case], Finding], place: End) -> Callable[[Case], Finding]:
    """The same examination, blind at that end: what fails in it fails for another reason."""
    return lambda case: place.forgiven(examine(case))


__all__ = ["End", "end_of", "forgiving"]
