"""What a case needs that no setting says: sizes that are equal or differ, windows that overlap, many elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from tinyres_kernels.conformance.declare import PLURALS, RESIZED, Case
from tinyres_kernels.conformance.examine import RIGHT, Finding
from tinyres_kernels.conformance.plainer import Examine, redrawn
from tinyres_kernels.conformance.tails import resized

MANY, FEWEST = 32, 2  # elements that some kernels stop at; failing cases that must show it
WIDE = 5  # of the other sizes, where one is looked at that is 1
NOT_SQUARE = {"kernel": "a kernel that is not square", "hw": "an image that is not square"}


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


def not_square(examine: Examine, small: Finding, seen: Sequence[Finding]) -> list[str]:
    """Pairs of sizes that have to differ, in words: it is right where both are the larger one, or both the smaller, and
    nothing that was seen to fail in this way has equal ones."""
    found = []
    for key, noun in NOT_SQUARE.items():
        pair = small.case.structure.get(key)
        like = [f.case.structure.get(key, (1, 2)) for f in seen if small.sign in f.signs and not f.case.put]
        if pair is None or any(one[0] == one[1] for one in [pair, *like]):
            continue
        squares = [
            _around(small.case, key, (side, side), (side + more, side + less))
            for side in range(min(pair), max(pair) + 2)
            for more, less in ((0, 0), (2, 1))
        ]
        tried = [one for case in squares if case.possible for one in (case, *redrawn(case, FEWEST))]
        if len(tried) > FEWEST and all(examine(one).ok for one in tried):
            found.append(noun)
    return found


def _around(case: Case, key: str, pair: tuple[int, int], image: tuple[int, int]) -> Case:
    """The case with such a kernel and an image that it fits in, or with such an image."""
    sizes = {key: pair} if key == "hw" else {key: pair, "hw": tuple(n + 2 for n in image)}
    return replace(case, title=RESIZED, structure={**case.structure, **sizes})


def overlapping(examine: Examine, small: Finding) -> bool:
    """Whether windows have to overlap: it fails at such sizes, and is right as soon as the stride is the kernel."""
    s = small.case.structure
    if "kernel" not in s or max(s["kernel"]) == 1 or max(s["dilation"]) > 1:
        return False
    kernel = tuple(max(2, k) for k in s["kernel"])
    sizes = [{"kernel": kernel, "hw": tuple(3 * k + more for k in kernel)} for more in (0, 1)]
    apart = [replace(small.case, title=RESIZED, structure={**s, **size, "stride": kernel}) for size in sizes]
    beside = [replace(small.case, title=RESIZED, structure={**s, **size, "stride": (1, 1)}) for size in sizes]
    if not all(case.possible for case in apart + beside):
        return False
    return all(examine(one).ok for case in apart for one in (case, *redrawn(case, FEWEST))) and all(
        examine(case).signs & small.signs for case in beside
    )


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


__all__ = ["alone", "beyond", "equal", "not_square", "overlapping", "plural"]
