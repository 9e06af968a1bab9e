"""Sizes at which a kernel fails: where a tile ends in the middle, or a stride leaves pixels over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tinyres_kernels.conformance.declare import RESIZED, Case
from tinyres_kernels.conformance.examine import Finding
from tinyres_kernels.geometry import extent

TILES = (2, 4, 8, 16, 32)
SIZES = (*range(1, 20), 24, 31, 32, 33, 40, 47, 48, 49)
GROWTH = 100  # a size that no smallest case has: whatever the stride, there are more windows
FEW = 3  # sizes on either side, at least: fewer may be chance


@dataclass(frozen=True)
class Tail:
    """Along an axis, the sizes at which the kernel fails. `tile`: no multiples of it; 0: what a stride leaves over.

    `whole`: where it fails at the multiples alone
    """

    key: str  # of the structure
    place: int
    axis: str  # of the result, or of an input
    tile: int
    text: str
    example: Finding
    whole: bool = False

    def holds(self, case: Case, mirrored: bool) -> bool:
        """Whether a case has such a size; `mirrored`: with rows and columns exchanged."""
        if self.tile:
            return (_size(case, self.key, self.place, self.axis) % self.tile == 0) == self.whole
        return _over(case, self.place ^ mirrored) > 0


def find(examine: Callable[[Case], Finding], small: Finding, *, vary: bool, sides: bool) -> Tail | None:
    """The axis and the tile that explain where it fails, seen from the smallest case.

    vary: look along all axes for tiles; if not, only for what a stride leaves over
    sides: say whether it is one of rows or of columns
    """
    s = small.case.structure
    strides = s.get("stride", (1, 1))
    for place in (0, 1):
        if strides[place] > 1 and "hw" in s:
            found = _along(examine, small.case, "hw", place, range(1, 14))
            if tail := _left_over(found, place, sides) or _by_stride(found, place, strides[place]):
                return tail
    if vary:
        for key, place in _axes(small.case):
            found = _along(examine, small.case, key, place, SIZES)
            if tail := _tile(found, small, key, place):
                return tail
    return None


def _axes(case: Case) -> Iterator[tuple[str, int]]:
    for key in case.op.family.sizes:
        value = case.structure[key]
        if key != "kernel":
            yield from ((key, place) for place in range(len(value) if isinstance(value, tuple) else 1))


def _along(examine: Callable[[Case], Finding], case: Case, key: str, place: int, sizes: Any) -> list[Finding]:
    """The findings of this case at other sizes, those that are none left out."""
    made = []
    for size in sizes:
        other = resized(case, key, place, size)
        if other.possible:
            made.append(examine(other))
    return made


def resized(case: Case, key: str, place: int, size: int) -> Case:
    """The case with another size there."""
    value = case.structure[key]
    new = (*value[:place], size, *value[place + 1 :]) if isinstance(value, tuple) else size
    return replace(case, title=RESIZED, structure={**case.structure, key: new})


def _left_over(found: list[Finding], place: int, sides: bool) -> Tail | None:
    over = [_over(finding.case, place) > 0 for finding in found]
    fails = [not finding.ok for finding in found]
    if over != fails or min(sum(fails), len(fails) - sum(fails)) < FEW:
        return None
    side = ("rows", "columns")[place] if sides else "pixels"
    text = f"a stride that leaves {side} over (it does not divide size + 2 padding - extent)"
    return Tail("hw", place, "", 0, text, _telling(found))


def _by_stride(found: list[Finding], place: int, stride: int) -> Tail | None:
    """Where it fails at the image's sizes that the stride does not divide: it makes too few or too many windows."""
    cut = [finding.case.structure["hw"][place] % stride > 0 for finding in found]
    fails = [not finding.ok for finding in found]
    if cut != fails or min(sum(fails), len(fails) - sum(fails)) < FEW:
        return None
    case = found[0].case
    axis = "hw"[place]
    of = next(arg.name for arg in [*case.reads, *case.writes] if axis in case.axes(arg))
    text = f"{axis} of {of} is no multiple of the stride"
    return Tail("hw", place, axis, stride, text, _telling(found))


def _over(case: Case, place: int) -> int:
    s = case.structure
    span = extent(s["kernel"][place], s["dilation"][place])
    over: int = (s["hw"][place] + 2 * s["padding"][place] - span) % s["stride"][place]
    return over


def _tile(found: list[Finding], small: Finding, key: str, place: int) -> Tail | None:
    """Where the kernel fails at all sizes from a tile on that are no multiples of it, and at no others; or at those."""
    of, axis = _axis(small.case, key, place)
    sizes = [(_size(finding.case, key, place, axis), not finding.ok) for finding in found]
    for tile in TILES:
        beyond = [(size % tile > 0, fails) for size, fails in sizes if size >= tile]
        failing = sum(fails for _, fails in beyond)
        alike = {cut == fails for cut, fails in beyond}
        if len(alike) == 1 and min(failing, len(beyond) - failing) >= FEW:
            whole = alike == {False}
            multiple = "even" if tile == 2 else f"a multiple of {tile}"
            text = f"{axis} of {of} is {multiple}" if whole else f"a tail: {axis} of {of} is no multiple of {tile}"
            return Tail(key, place, axis, tile, text, _telling(found), whole)
    return None


def _telling(found: list[Finding]) -> Finding:
    """The smallest failing one that has right elements beside the wrong ones, or else the smallest."""
    failing = [finding for finding in found if finding.wrong]
    mixed = [f for f in failing if any((marks == ".").any() for marks in f.marks.values())]
    return min(mixed or failing, key=lambda f: f.case.elements)


def _axis(case: Case, key: str, place: int) -> tuple[str, str]:
    """An array and its axis that grow with this size: a result's, or else that of an array that is read."""
    grown = resized(case, key, place, GROWTH)
    for arg in [*case.writes, *case.reads]:
        before, after = case.axes(arg), grown.axes(arg)
        for axis in before:
            if before[axis] != after[axis]:
                return arg.name, axis
    return case.reads[0].name, key  # no array shows it


def _size(case: Case, key: str, place: int, axis: str) -> int:
    for arg in [*case.writes, *case.reads]:
        axes = case.axes(arg)
        if axis in axes:
            size: int = axes[axis]
            return size
    value = case.structure[key]
    own: int = value[place] if isinstance(value, tuple) else value
    return own
