"""What a case needs that no setting says: two equal sizes, one that is 1, or more elements than some number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

import numpy as np

from tinyres_kernels.conformance.declare import PLURALS, Case
from tinyres_kernels.conformance.examine import RIGHT, Finding
from tinyres_kernels.conformance.tails import resized

MANY, FEWEST = 32, 2  # elements that some kernels stop at; failing cases that must show it
WIDE = 5  # of the other sizes, where one is looked at that is 1
Examine = Callable[[Case], Finding]


def equal(examine: Examine, small: Finding) -> tuple[str, str] | None:
    """Two sizes that have to be equal: it is right where either of them is another, and fails where both are."""
    case = small.case
    sizes = [key for key in _counts(case) if case.structure[key] > 1]
    for one, other in combinations(sizes, 2):
        n: int = case.structure[one]
        if n != case.structure[other] or not all(_right(examine, resized(case, key, 0, n + 1)) for key in (one, other)):
            continue
        both = examine(resized(resized(case, one, 0, n + 1), other, 0, n + 1))
        if both.signs & small.signs:
            return one, other
    return None


def alone(examine: Examine, small: Finding) -> list[str]:
    """The sizes that have to be 1, also where all others are larger."""
    found = []
    for key in (key for key in _counts(small.case) if small.case.structure[key] == 1):
        wide = small.case
        for other in _counts(wide):
            wide = resized(wide, other, 0, max(WIDE, wide.structure[other])) if other != key else wide
        if all(_right(examine, resized(wide, key, 0, n)) for n in (2, 3)) and examine(wide).signs & small.signs:
            found.append(key)
    return found


def plural(case: Case, key: str) -> str:
    return (PLURALS | dict(case.op.family.plurals))[key]


def _counts(case: Case) -> list[str]:
    return [key for key in case.op.family.sizes if isinstance(case.structure[key], int)]


def _right(examine: Examine, case: Case) -> bool:
    return case.possible and examine(case).ok


def beyond(failing: Sequence[Finding], right: Sequence[Finding]) -> str:
    """What there is more of in each failing case than in any that is right, where the wrong elements begin there."""
    found = [f for f in failing if f.wrong]
    if len(found) < max(FEWEST, len(failing)):
        return ""
    for result in dict.fromkeys(arg.name for f in found for arg in f.case.writes):
        bad = [_first(f, result) for f in found]
        good = [_sizes(f, result) for f in right if not f.case.refused and f.asked]
        for axis in bad[0]:
            begins = {places.get(axis, 0) for places in bad}
            first = max(begins)
            if len(begins) == 1 and first >= MANY and all(sizes.get(axis, 0) <= first for sizes in good):
                return f"more than {first} {axis} of {result}"
    return ""


def _first(finding: Finding, result: str) -> dict[str, int]:
    """Where the wrong elements begin: among all elements in the order of memory, and along each axis."""
    marks = finding.marks.get(result)
    if marks is None or all(arg.name != result for arg in finding.case.writes):  # there it is an input that changed
        return {}
    wrong = marks != RIGHT
    return dict(zip(_names(finding, result), (int(places.min()) for places in _places(wrong)), strict=True))


def _places(wrong: np.ndarray) -> Iterator[np.ndarray]:
    yield np.flatnonzero(wrong)
    yield from wrong.nonzero()


def _sizes(finding: Finding, result: str) -> dict[str, int]:
    shape = next((finding.case.shape(arg) for arg in finding.case.writes if arg.name == result), ())
    return dict(zip(_names(finding, result), (int(np.prod(shape)), *shape), strict=False))


def _names(finding: Finding, result: str) -> list[str]:
    nouns = finding.case.op.family.nouns
    axes = next((finding.case.axes(arg) for arg in finding.case.writes if arg.name == result), {})
    return [
        "elements",
        *(
            f"{nouns[axis]}{'es' if nouns[axis].endswith('s') else 's'}" if axis in nouns else f"along {axis}"
            for axis in axes
        ),
    ]


__all__ = ["alone", "beyond", "equal", "plural"]
