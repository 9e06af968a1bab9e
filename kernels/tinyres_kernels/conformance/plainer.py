"""A failing case made plainer and smaller, for as long as the kernel fails in the same way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from tinyres_kernels.conformance.declare import PLAINER, TURNED, Case
from tinyres_kernels.conformance.examine import WRONG, Finding

Examine = Callable[[Case], Finding]
STEPS = 250  # cases run, at most
REDRAWN = 8  # draws of other numbers that may show a fault which one draw did not
PAIRED = ("dilation", "stride", "padding")


def plainer(examine: Examine, finding: Finding, dtypes: Sequence[str], until: float) -> Finding:
    """The plainest and smallest case that fails alike; it has a wrong number at least, if this one has.

    Where some numbers fail and others do not, a case that is right may be so by chance: it is drawn anew a few times
    before what it lacks is held to be needed.
    """
    if finding.case.refused or finding.signs & {"slow", "ended"}:
        return finding
    finding = _descended(finding, dtypes, until, examine)
    if all(_alike(examine(one), finding) for one in redrawn(finding.case)):
        return finding

    def drawn_anew(case: Case) -> Finding:
        tried = [examine(case)]
        while not _alike(tried[-1], finding) and len(tried) <= REDRAWN:
            tried.append(examine(replace(case, title=TURNED, seed=case.seed + len(tried))))
        return replace(tried[-1], case=replace(tried[-1].case, title=PLAINER))

    return _descended(finding, dtypes, until, drawn_anew)


def redrawn(case: Case, count: int = REDRAWN) -> list[Case]:
    """The same case with other numbers."""
    return [replace(case, title=TURNED, seed=case.seed + more) for more in range(1, count + 1)]


def _descended(finding: Finding, dtypes: Sequence[str], until: float, examine: Examine) -> Finding:
    steps = 0
    seen = {finding.case}
    progress = True
    while progress and steps < STEPS and perf_counter() < until:
        progress = False
        for case in _plainer_cases(finding.case, dtypes):
            if case in seen or not case.possible:
                continue
            seen.add(case)
            steps += 1
            tried = examine(case)
            if _alike(tried, finding):
                finding, progress = tried, True
                break
    return finding


def _alike(tried: Finding, finding: Finding) -> bool:
    """Whether it fails in the same way, with a wrong number where the other has some: a NaN tells less."""
    return (
        tried.sign == finding.sign
        and bool(tried.wrong or not finding.wrong)
        and (_has_numbers(tried) or not _has_numbers(finding))
    )


def _has_numbers(finding: Finding) -> bool:
    return any((marks == WRONG).any() for marks in finding.marks.values())


def _plainer_cases(case: Case, dtypes: Sequence[str]) -> Iterator[Case]:
    """Cases that have one thing less than this one; what says the most to be rid of comes first."""
    if case.put:
        yield replace(case, put=None)
    if case.shift:
        yield replace(case, shift=None)
    if case.lies:
        yield replace(case, lies="")
    if case.again:
        yield replace(case, again=False)
    if case.over:
        yield replace(case, over="")
    if case.readonly:
        yield replace(case, readonly=False)
    if case.dtype == "float32" and "float64" in dtypes:
        yield replace(case, dtype="float64")
    family, s = case.op.family, case.structure
    for key, value in s.items():
        if key in family.sizes:
            continue
        plain = family.plain[key]
        if value != plain:
            yield changed(case, key, plain)
        for i, one in enumerate(values(value)):
            if isinstance(value, tuple) and one != plain[i]:
                yield changed(case, key, (*value[:i], plain[i], *value[i + 1 :]))
                for less in sorted({plain[i] + 1, one - 1}) if key in PAIRED and one - plain[i] > 1 else ():
                    yield changed(case, key, (*value[:i], less, *value[i + 1 :]))
    for key in family.sizes:
        value = s[key]
        if key == "axes" and len(value) > 1:
            yield changed(case, key, value[:1])
        for i, one in enumerate(values(value)):
            for less in dict.fromkeys(n for n in (1, one // 2, one - 1) if 0 < n < one):
                yield changed(case, key, (*value[:i], less, *value[i + 1 :]) if isinstance(value, tuple) else less)


def changed(case: Case, key: str, value: Any) -> Case:
    return replace(case, title=PLAINER, structure={**case.structure, key: value})


def settings(case: Case) -> dict[tuple[str, int], bool]:
    """Each setting, or half of a pair of settings: whether it differs from the plain one. Sizes are none."""
    family, s = case.op.family, case.structure
    return {
        (key, i): one != plain
        for key, value in s.items()
        if key not in family.sizes
        for i, (one, plain) in enumerate(zip(values(value), values(family.plain[key]), strict=False))
    }


def values(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
