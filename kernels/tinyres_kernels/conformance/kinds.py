"""The failing cases, sorted by kind: what a case must have for the kernel to fail, and a small example of each kind.

A failing case is made plainer for as long as it fails in the same way: each setting back to its plain value, each size
towards 1. What cannot be taken away is what the fault needs: a stride of the columns, groups, float32. Where only sizes
are left, they are varied one by one: a kernel may fail wherever a width is no multiple of 8.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from tinyres_kernels.conformance.alike import alone, beyond, equal, not_square, overlapping, plural
from tinyres_kernels.conformance.declare import PLURALS, RESIZED, TURNED, Case, Structure
from tinyres_kernels.conformance.examine import SIGNS, Finding
from tinyres_kernels.conformance.in_values import value_need
from tinyres_kernels.conformance.kind import Kind, explains, put_need, same_error, scope
from tinyres_kernels.conformance.plainer import PAIRED, Examine, changed, plainer, settings, values
from tinyres_kernels.conformance.tails import find
from tinyres_kernels.conformance.where import end_of, forgiving

MOST, SECONDS = 6, 20.0  # kinds; time for all of it
SEEDS = 3  # of the numbers in a case that seems right: with some, a fault does not show
MANY = 9  # of a size in the plainest case: a number that tells where the kernel takes another way
FEW_TAPS = 3  # along an axis of a kernel, as nearly every kernel has them
LARGE = 500  # elements of an example: smaller ones are shown first
AXES = ("rows", "columns")
PLANTED = ("a NaN in ", "an infinity in ")


def kinds(examine: Examine, found: Sequence[Finding], dtypes: Sequence[str]) -> list[Kind]:
    """The kinds of failure among these findings, of which others are right: those that are seen in a picture first, the
    plainest before others.

    Cases are run until the time for it is over.
    """
    until = perf_counter() + SECONDS
    made: list[Kind] = []
    seen = [f for f in found if f.asked and not f.left]
    left = sorted((f for f in found if not f.ok and not f.left), key=lambda f: (f.case.refused, _weight(f.case)))
    if keeping := _keeping(examine, seen, left):
        return [keeping]
    if more := beyond(left, [f for f in found if f.ok]):
        small = min(left, key=lambda f: f.case.elements)
        return [Kind([more], {small.sign}, small, [small.case], left)]
    shaky = [f for f in left if f.sign == "shaky"]
    if shaky:  # what makes a case plainer, and what sets it apart, is chance: one kind for all of them
        steady = [f for f in left if f.sign != "shaky" and examine(f.case).sign == f.sign]
        made.append(
            Kind([], {"shaky"}, shaky[0], [shaky[0].case], [f for f in left if all(f is not s for s in steady)])
        )
        left = steady
    while left and len(made) < MOST:
        small = plainer(examine, left[0], dtypes, until)
        kind = _kind(examine, small, until, dtypes, seen)
        kind.scope = "" if kind.value else scope(seen, kind.sign)
        if kind.scope:
            kind.needs = [dtype for dtype in dtypes if dtype in kind.scope]
        same = next((k for k in made if k.sign == kind.sign and (k.needs == kind.needs or same_error(k, small))), None)
        if same is None:
            made.append(kind)
        of = same or kind
        mine = [f for f in left if f is left[0] or explains(of, f) or same_error(of, f)]
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
        kind.findings += [f for f in taken if kind.sign in f.signs and explains(kind, f)]
        left = [f for f in left if all(f is not one for one in mine)]
        if place is not None:
            left = [f for f in map(place.forgiven, left) if not f.ok]
            seen = [place.forgiven(f) for f in seen]
    for kind in made:
        if not kind.needs and 2 * len(kind.findings) > len(seen):
            kind.needs = ["most cases"]
        kind.needs = [put_need(kind) or need if need.startswith(PLANTED) else need for need in kind.needs]
    return sorted(made, key=lambda kind: (kind.example.case.elements > LARGE, not kind.example.wrong))


def _weight(case: Case) -> tuple[int, int]:
    """How far a case is from the plain one, and how large it is."""
    return sum(settings(case).values()) + bool(case.put) + case.readonly + bool(
        case.shift or case.lies or case.over or case.again
    ), case.elements


def _kind(examine: Examine, small: Finding, until: float, dtypes: Sequence[str], seen: Sequence[Finding]) -> Kind:
    case = small.case
    plainest = [case]
    if case.refused or small.signs & {"slow", "ended"}:  # no more of these are run than have to be
        needs = [] if case.refused else _needs(examine, small, {}, (), sides=False)
        return Kind(needs or [f"the case `{case.title}`"], small.signs, small, plainest)
    other = _mirrored(case)
    if other != case and other.possible and examine(other).signs & small.signs:
        plainest.append(other)
    flags: Structure = {
        key: v
        for key, v in case.structure.items()
        if isinstance(v, bool) and not _common(seen, small.sign, key, not v) and _decides(examine, small, key)
    }
    value = value_need(examine, small) if small.sign == "wrong" else None
    pair = None if value else equal(examine, small)
    lone = [] if case.put or pair or value else alone(examine, small)
    flags |= dict.fromkeys(lone, 1)
    larger = _larger(case)
    telling = [examine(larger)] if larger.possible else []
    needs = _needs(examine, small, flags, dtypes, sides=len(plainest) == 1)
    needs += [f"{plural(case, key)} = 1" for key in lone]
    needs += [f"as many {plural(case, pair[0])} as {plural(case, pair[1])}"] if pair else []
    if value:
        needs.append(value.text)
    elif small.sign == "wrong" and not any(off for (key, _), off in settings(case).items() if key in PAIRED):
        needs += not_square(examine, small, seen)
        needs += ["windows that overlap"] if overlapping(examine, small) else []
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
        equal=pair,
        value=value,
    )


def _keeping(examine: Examine, seen: Sequence[Finding], left: Sequence[Finding]) -> Kind | None:
    """The kind of a kernel that keeps something from one call to the next. Which cases fail is then chance.

    The plain case is right, and the same case with other numbers is wrong, whatever they are, after a call before.
    """
    right = {f.case.dtype for f in seen if f.ok and f.case.title == "plain"}
    found = [f for f in left if f.case.again and f.case.dtype in right]
    for one in found[:1]:
        other = [replace(one.case, title=TURNED, seed=one.case.seed + more) for more in range(1, SEEDS + 1)]
        if all(f.sign in ("wrong", "shaky") for f in [one, *map(examine, other)]):
            return Kind(["a call before, with other numbers"], {"wrong"}, one, [one.case], list(left))
    return None


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


def _needs(examine: Examine, small: Finding, flags: Structure, dtypes: Sequence[str], sides: bool) -> list[str]:
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
                needs.append(f"{key} > {max(value) - 1}{of}")  # with one less in its place it is right
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
    if case.again:
        needs.append("a call before, with other numbers")
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
        found = [examine(replace(other, title=TURNED, seed=other.seed + more)) for more in range(SEEDS)]
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
    if (taps := max(values(s.get("kernel", 1)))) > 1:
        found.append(f"a kernel of {taps} rows or columns or more" if taps > FEW_TAPS else "a kernel of several taps")
    elif max(values(s.get("hw", 1))) > 1:
        found.append("several pixels")
    return found[:2]


def _sized(small: Case, case: Case, tail: str) -> bool:
    """Where sizes are all that it takes: whether none is smaller than in the plainest case, but for that of a tail."""
    if any(settings(small).values()) or small.put:
        return True
    pairs = ((small.structure[key], case.structure[key]) for key in small.op.family.sizes if key not in ("axes", tail))
    return all(least <= own for one, other in pairs for least, own in zip(values(one), values(other), strict=True))
