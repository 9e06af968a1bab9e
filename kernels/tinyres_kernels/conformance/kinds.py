"""The failing cases, sorted by kind: what a case must have for the kernel to fail, and a small example of each kind.

A failing case is made plainer for as long as it fails in the same way: each setting back to its plain value, each size
towards 1. What cannot be taken away is what the fault needs: a stride of the columns, groups, float32. Where only sizes
are left, they are varied one by one: a kernel may fail wherever a width is no multiple of 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from tinyres_kernels.conformance.declare import PLURALS, RESIZED, Case, Structure
from tinyres_kernels.conformance.examine import SIGNS, Finding, joined, unwritten
from tinyres_kernels.conformance.plainer import PAIRED, Examine, changed, plainer, settings, values
from tinyres_kernels.conformance.tails import Tail, find
from tinyres_kernels.conformance.where import end_of, forgiving

MOST, SECONDS = 6, 20.0  # kinds; time for all of it
SEEDS = 3  # of the numbers in a case that seems right: with some, a fault does not show
MANY = 9  # of a size in the plainest case: a number that tells where the kernel takes another way
LARGE = 500  # elements of an example: smaller ones are shown first
AXES = ("rows", "columns")
PLANTED = ("a NaN in ", "an infinity in ")


@dataclass
class Kind:
    """A kind of failure. needs: what a case has to have for it, in words;   signs: what the kernel does wrong there

    example: the finding that is shown;   findings: the failing cases that are put down to this kind
    plainest: the plainest case that fails, and the same with rows and columns exchanged if that one fails, too
    telling: a larger case, in which faults that look alike in small ones differ
    means: a sentence on what the kernel seems to do, or nothing
    """

    needs: list[str]
    signs: set[str]
    example: Finding
    plainest: list[Case]
    findings: list[Finding] = field(default_factory=list)
    flags: Structure = field(default_factory=dict)  # settings that are True or False, and have to be
    tail: Tail | None = None
    telling: list[Finding] = field(default_factory=list)
    means: str = ""
    placed: bool = False  # whether an end of an axis is all that it is about
    scope: str = ""  # "every case", or "every float32 case", where that is so

    @property
    def sign(self) -> str:
        """The gravest sign."""
        return next(sign for sign in SIGNS if sign in self.signs)

    @property
    def name(self) -> str:
        """What is needed, and for what."""
        never = unwritten(self.example) if self.sign == "unwritten" else []
        does = f"leaves {joined(never)} unwritten" if never else SIGNS[self.sign]
        where = "not repeatable" if self.sign == "shaky" else self.scope or " and ".join(self.needs)
        return f"{where or 'some cases'}: {does}"


def kinds(examine: Examine, found: Sequence[Finding], dtypes: Sequence[str]) -> list[Kind]:
    """The kinds of failure among these findings, of which others are right: those that are seen in a picture first, the
    plainest before others.

    Cases are run until the time for it is over.
    """
    until = perf_counter() + SECONDS
    made: list[Kind] = []
    seen = [f for f in found if f.asked and not f.left]
    left = sorted((f for f in found if not f.ok and not f.left), key=lambda f: (f.case.refused, _weight(f.case)))
    shaky = [f for f in left if f.sign == "shaky"]
    if shaky:  # what makes a case plainer, and what sets it apart, is chance: one kind for all of them
        steady = [f for f in left if f.sign != "shaky" and examine(f.case).sign == f.sign]
        made.append(Kind([], {"shaky"}, shaky[0], [shaky[0].case], [f for f in left if all(f is not s for s in steady)]))
        left = steady
    while left and len(made) < MOST:
        small = plainer(examine, left[0], dtypes, until)
        kind = _kind(examine, small, until, dtypes, seen)
        kind.scope = scope(seen, kind.sign)
        if kind.scope:
            kind.needs = [dtype for dtype in dtypes if dtype in kind.scope]
        same = next((k for k in made if k.sign == kind.sign and (k.needs == kind.needs or _same_error(k, small))), None)
        if same is None:
            made.append(kind)
        of = same or kind
        mine = [f for f in left if f is left[0] or _explains(of, f) or _same_error(of, f)]
        place = end_of(mine) if same is None and not kind.needs else None
        if place is not None:  # not every element of every case: the others may fail for another reason
            mine = [f for f in mine if place.forgiven(f).ok]
            kind.needs = [place.text]
            kind.example = min((f for f in mine if place.could_show(f)), key=lambda f: f.case.elements)
            kind.scope, kind.placed = "", True
            examine = forgiving(examine, place)
        (same or kind).findings += mine
        # Of those that were put down to a graver sign: those that show this one, too, and have what it needs.
        taken = [f for other in made if other.sign != kind.sign for f in other.findings] if same is None else []
        kind.findings += [f for f in taken if kind.sign in f.signs and _explains(kind, f)]
        left = [f for f in left if all(f is not one for one in mine)]
        if place is not None:
            left = [f for f in map(place.forgiven, left) if not f.ok]
            seen = [place.forgiven(f) for f in seen]
    for kind in made:
        kind.needs = [_put_need(kind) or need if need.startswith(PLANTED) else need for need in kind.needs]
    return sorted(made, key=lambda kind: (kind.example.case.elements > LARGE, not kind.example.wrong))


def scope(seen: Sequence[Finding], sign: str) -> str:
    """ "every case" where each of these shows the sign, "every float32 case" where those do and no other; else empty.

    A case with a NaN or an infinity that is right says nothing: twice infinity is infinity.
    """
    seen = [f for f in seen if not (f.ok and f.case.put)]
    shows = {dtype: [sign in f.signs for f in seen if f.case.dtype == dtype] for dtype in {f.case.dtype for f in seen}}
    if all(all(own) for own in shows.values()):
        return "every case"
    for dtype, own in shows.items():
        if all(own) and not any(any(others) for other, others in shows.items() if other != dtype):
            return f"every {dtype} case"
    return ""


def merged(made: Sequence[Kind]) -> list[Kind]:
    """Without those kinds that mean the same as another one, or need all that it needs: it has their findings, too."""
    kept: list[Kind] = []
    order = {id(kind): place for place, kind in enumerate(made)}
    for kind in sorted(made, key=lambda kind: len(kind.needs)):
        same = next((k for k in kept if k.sign == kind.sign and _covers(k, kind)), None)
        if same is None:
            kept.append(kind)
        else:
            same.findings += [f for f in kind.findings if all(f is not one for one in same.findings)]
    return sorted(kept, key=lambda kind: order[id(kind)])


def _covers(kind: Kind, other: Kind) -> bool:
    if kind.means or other.means:
        return kind.means == other.means
    return not kind.placed and all(_explains(kind, finding) for finding in other.findings)


def _same_error(kind: Kind, finding: Finding) -> bool:
    """Whether both raise the same type of error in the same line, whatever they say of it."""
    return bool(finding.raised) and kind.example.raised == finding.raised


def _put_need(kind: Kind) -> str:
    """Which values the failing cases have in common that are not finite, and in which arrays."""
    puts = [f.case for f in [kind.example, *kind.findings] if f.case.put]
    values = {case.put.value for case in puts if case.put}
    named = {"a NaN": any(np.isnan(v) for v in values), "an infinity": any(np.isinf(v) for v in values)}
    arrays = dict.fromkeys(case.reads[case.put.argument].name for case in puts if case.put)
    what = " or ".join(name for name, there in named.items() if there)
    return f"{what} in {' or '.join(arrays)}" if what else ""


def _weight(case: Case) -> tuple[int, int]:
    """How far a case is from the plain one, and how large it is."""
    return sum(settings(case).values()) + bool(case.put) + case.readonly + bool(case.shift or case.lies or case.over), case.elements


def _kind(
    examine: Examine, small: Finding, until: float, dtypes: Sequence[str], seen: Sequence[Finding]
) -> Kind:
    case = small.case
    plainest = [case]
    if case.refused or small.signs & {"slow", "ended"}:  # no more of these are run than have to be
        needs = [] if case.refused else _needs(examine, small, {}, (), sides=False)
        return Kind(needs or [f"the case `{case.title}`"], small.signs, small, plainest)
    other = _mirrored(case)
    if other != case and other.possible and examine(other).signs & small.signs:
        plainest.append(other)
    flags = {key: v for key, v in case.structure.items() if isinstance(v, bool) and not _common(seen, small.sign, key, not v) and _decides(examine, small, key)}
    larger = _larger(case)
    telling = [examine(larger)] if larger.possible else []
    needs = _needs(examine, small, flags, dtypes, sides=len(plainest) == 1)
    tail = find(examine, small, vary=not needs, sides=len(plainest) == 1) if perf_counter() < until else None
    if tail and not tail.tile:
        needs = [need for need in needs if not need.startswith("stride")]
    if tail:
        needs.append(tail.text)
    return Kind(
        needs or _sizes(case),
        small.signs,
        tail.example if tail else small,
        plainest,
        flags=flags,
        tail=tail,
        telling=telling,
    )


def _mirrored(case: Case) -> Case:
    """The case with rows and columns exchanged."""
    s = case.structure
    pairs = {key: value[::-1] for key, value in s.items() if key in ("hw", "kernel", *PAIRED)}
    return replace(case, structure={**s, **pairs})


def _larger(case: Case) -> Case:
    """The case with a larger window, and more of each setting that it has."""
    family, s = case.op.family, case.structure
    more = {
        key: tuple(n + (n != plain) for n, plain in zip(s[key], family.plain[key], strict=True))
        for key in PAIRED
        if key in s
    }
    sizes = {"hw": (11, 10), "kernel": (5, 4)}
    return replace(case, title=RESIZED, structure={**s, **more, **{key: n for key, n in sizes.items() if key in s}})


def _needs(
    examine: Examine, small: Finding, flags: Structure, dtypes: Sequence[str], sides: bool
) -> list[str]:
    """What the plainest case still has, in words; with `sides`, also on which side. `dtypes`: others to try it in."""
    case = small.case
    family, s, needs = case.op.family, case.structure, []
    off = settings(case)
    for key, value in s.items():
        if key in family.sizes:
            continue
        if isinstance(value, bool):
            if key in flags:
                needs.append(_trait(case, key, not value) or f"{key}={value}")
        elif isinstance(value, tuple):
            needed = [AXES[i] for i in range(len(value)) if off.get((key, i))] if len(value) == len(AXES) else []
            if needed:
                of = f" of the {needed[0]}" if sides and len(needed) == 1 else ""
                needs.append(f"{key} > {family.plain[key][0]}{of}")
        elif off.get((key, 0)):
            needs.append(_trait(case, key, family.plain[key]) or f"{key}={value}")
    if case.put:
        kind = "an infinity" if np.isinf(case.put.value) else "a NaN"
        needs.append(f"{kind} in {case.reads[case.put.argument].name}")
    if case.shift:
        needs.append(f"numbers in {case.shift[0]} that are large beside their spread")
    if case.lies:
        needs.append("inputs that are views")
    if case.over:
        needs.append(f"out is {case.over}")
    if case.readonly:
        needs.append("read-only inputs")
    if case.dtype == "float32" and "float64" in dtypes and examine(replace(case, dtype="float64")).ok:
        needs.append("float32")
    if case.dtype == "float64" and "float32" in dtypes and not needs and examine(replace(case, dtype="float32")).ok:
        needs.append("float64")
    return needs


def _trait(case: Case, key: str, other: Any) -> str:
    """What it is called that this key has its value and not another one: the name of a trait, if there is one."""
    s = case.structure
    less = {**s, key: other}
    return next((name for name, holds in case.op.family.traits.items() if holds(s) and not holds(less)), "")


def _common(seen: Sequence[Finding], sign: str, key: str, value: bool) -> bool:
    """Whether most cases with this value show the sign: then the other one is not needed for it."""
    shows = [sign in f.signs for f in seen if f.case.structure.get(key) == value and not f.case.put]
    return 2 * sum(shows) > len(shows)


def _decides(examine: Examine, small: Finding, key: str) -> bool:
    """Whether it would be right with the other of two values, or less wrong, whatever the numbers."""
    other = changed(small.case, key, not small.case.structure[key])
    try:
        if not other.possible:
            return False
        found = [examine(replace(other, seed=other.seed + more)) for more in range(SEEDS)]
    except KeyError:  # an operation that needs both
        return False
    order = list(SIGNS)
    return all(one.ok or order.index(one.sign) > order.index(small.sign) for one in found)


def _sizes(case: Case) -> list[str]:
    """The sizes that could not be brought down to 1: several taps, channels or images."""
    family, s = case.op.family, case.structure
    plurals = PLURALS | dict(family.plurals)
    sizes = {plurals[key]: max(values(s[key])) for key in plurals if key in family.sizes}
    found = [f"{n} {what} or more" if n >= MANY else f"several {what}" for what, n in sizes.items() if n > 1]
    if max(values(s.get("kernel", 1))) > 1:
        found.append("a kernel of several taps")
    elif max(values(s.get("hw", 1))) > 1:
        found.append("several pixels")
    return found[:2]


def _explains(kind: Kind, finding: Finding) -> bool:
    """Whether a failing case has all that this kind needs."""
    case = finding.case
    if kind.scope:
        return kind.sign in finding.signs
    if case.refused or not kind.signs & finding.signs or kind.plainest[0].refused:
        return case.title == kind.plainest[0].title
    has = settings(case)
    return (
        any(
            all(has.get(setting, False) or not off for setting, off in _needed(kind, small).items())
            and (case.put is not None or small.put is None)
            and (case.readonly or not small.readonly)
            and small.shift in (None, case.shift)
            and (bool(case.lies) or not small.lies)
            and small.over in ("", case.over)
            and _sized(small, case, kind.tail.key if kind.tail else "")
            and (kind.tail is None or kind.tail.holds(case, mirrored=small is not kind.plainest[0]))
            for small in kind.plainest
        )
        and all(dtype not in kind.needs or case.dtype == dtype for dtype in ("float32", "float64"))
        and all(case.structure[key] == value for key, value in kind.flags.items())
    )


def _needed(kind: Kind, small: Case) -> dict[tuple[str, int], bool]:
    """The settings that matter: one that is True or False, and may be either, does not."""
    free = {key for key, value in small.structure.items() if isinstance(value, bool) and key not in kind.flags}
    return {setting: off for setting, off in settings(small).items() if setting[0] not in free}


def _sized(small: Case, case: Case, tail: str) -> bool:
    """Where sizes are all that it takes: whether none is smaller than in the plainest case, but for that of a tail."""
    if any(settings(small).values()) or small.put:
        return True
    pairs = ((small.structure[key], case.structure[key]) for key in small.op.family.sizes if key not in ("axes", tail))
    return all(least <= own for one, other in pairs for least, own in zip(values(one), values(other), strict=True))
