"""What the numbers of failing cases have in common: some draws of a case fail, and others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import RESIZED, Case
from tinyres_kernels.conformance.examine import Finding
from tinyres_kernels.conformance.plainer import Examine, changed, redrawn, values
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.namespace import Array

DRAWS = 24  # of a case; half of them tell nothing where a fault is rare
Holds = Callable[[Case, Arrays], bool]


class Trait(NamedTuple):
    """Something that the numbers of a case may have: in words, and whether these have it."""

    text: str
    holds: Holds


def value_need(examine: Examine, small: Finding) -> Trait | None:
    """What is true of the numbers of every draw that fails and of none that does not; None where nothing is.

    Draws of the smallest case alone would not tell "a number" from "nothing but numbers": somewhat larger ones do.
    """
    case = small.case
    if case.put or case.shift or case.lies or case.over or case.again or case.refused:
        return None
    found = [small, *map(examine, redrawn(case, DRAWS))]
    if all(small.signs & f.signs for f in found):
        return None
    larger = _larger(case)
    more = [examine(one) for one in redrawn(larger, DRAWS)] if larger.possible else []
    for seen in ([*found, *more], found):
        drawn = [(f, f.case.inputs()) for f in seen if f.ok or small.signs & f.signs]
        if all(f.ok for f, _ in drawn[1:]):
            continue
        for text, holds in _traits(case):
            if all(holds(f.case, inputs) != f.ok for f, inputs in drawn):
                return Trait(text, holds)
    return None


def _larger(case: Case) -> Case:
    """One more of each size, so that a window or a row holds more than what fails."""
    for key in case.op.family.sizes:
        value = case.structure[key]
        more = tuple(n + 1 + (key == "hw") for n in values(value))
        case = changed(case, key, more if isinstance(value, tuple) else value + 1)
    return Case(case.op, RESIZED, case.structure, case.dtype, case.seed)


def _traits(case: Case) -> Iterator[tuple[str, Holds]]:
    """What numbers may have, the most telling first."""
    if hasattr(OPERATIONS[case.op.name].settings, "axes") and case.op.name.startswith("max_pool2d"):
        yield from _OF_POOLS[case.op.name].items()
    for arg in case.reads:
        if arg.dtype:
            yield from _of_classes(arg.name)
        else:
            yield from _of_numbers(arg.name)


def _of_numbers(name: str) -> Iterator[tuple[str, Holds]]:
    def of(a: Arrays) -> Array:
        return a.get(name, np.full(1, np.nan))  # other cases may go without: nothing is true of what is not there

    yield f"a negative number in {name}", lambda case, a: bool((of(a) < 0).any())
    yield f"a positive number in {name}", lambda case, a: bool((of(a) > 0).any())
    yield f"a 0 in {name}", lambda case, a: bool((of(a) == 0).any())
    yield f"nothing but negative numbers in {name}", lambda case, a: bool((of(a) < 0).all())
    yield f"nothing but positive numbers in {name}", lambda case, a: bool((of(a) > 0).all())
    yield f"a number below 1 in {name}", lambda case, a: bool((abs(of(a)) < 1).any())
    yield f"a number beyond 1 in {name}", lambda case, a: bool((abs(of(a)) > 1).any())


def _of_classes(name: str) -> Iterator[tuple[str, Holds]]:
    yield f"class 0 in {name}" if name == "target" else f"a 0 in {name}", lambda case, a: bool((a[name] == 0).any())
    if name == "target":
        yield "the last class in target", lambda case, a: bool((a[name] == case.structure["C"] - 1).any())


def _windows(case: Case, x: Array, apart: float) -> Array:
    """(taps, N, OH, OW, C): the pixels of each window, `apart` where they lie in the padding."""
    s: Any = OPERATIONS[case.op.name].settings(**case.keywords)
    shape = case.shape(next(arg for arg in [*case.writes, *case.reads] if arg.shape == "y"))
    rows, columns = s.axes(case.shape(next(a for a in [*case.writes, *case.reads] if a.shape == "x")), shape)
    taps = np.full((s.kernel[0] * s.kernel[1], *shape), apart)
    for oh, ow in np.ndindex(*shape[1:3]):
        for kh, h in rows.window(oh):
            for kw, w in columns.window(ow):
                taps[kh * s.kernel[1] + kw, :, oh, ow] = x[:, h, w]
    return taps


def _winners(case: Case, index: Array) -> tuple[Array, Array]:
    """The pixel that each index points at as one number, and whether it lies in the image."""
    x = case.axes(next(arg for arg in [*case.writes, *case.reads] if arg.shape == "x"))
    numbered = np.arange(1, 1 + x["n"] * x["h"] * x["w"] * x["c"], dtype="d").reshape(x["n"], x["h"], x["w"], x["c"])
    taken = np.take_along_axis(_windows(case, numbered, 0.0), index[None], 0)[0]
    return taken, taken > 0


def _shared(case: Case, a: Arrays) -> bool:
    taken, there = _winners(case, a["index"])
    return len(np.unique(taken[there])) < int(there.sum())


_PADDED: dict[str, Holds] = {
    "an index that points into the padding": lambda case, a: not _winners(case, a["index"])[1].all(),
}
_OF_POOLS: dict[str, dict[str, Holds]] = {
    "max_pool2d": {
        "a window with nothing but negative numbers": lambda case, a: bool(
            (_windows(case, a["x"], -np.inf).max(0) < 0).any()
        ),
        "a window with nothing but positive numbers": lambda case, a: bool(
            (_windows(case, a["x"], np.inf).min(0) > 0).any()
        ),
        "equal maxima in a window": lambda case, a: bool(_equal_maxima(_windows(case, a["x"], -np.inf)).any()),
    },
    "max_pool2d_dx": {"windows with the same winner": _shared, **_PADDED},
    "max_pool2d_take": _PADDED,
}


def _equal_maxima(taps: Array) -> Array:
    most: Array = (taps == taps.max(0)).sum(0) > 1
    return most


__all__ = ["Trait", "value_need"]
