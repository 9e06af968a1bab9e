"""A kind of failure: what a case must have for it, which failing cases are put down to it, and what it is called."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinyres_kernels.conformance.declare import Case, Structure
from tinyres_kernels.conformance.examine import SIGNS, Finding, joined, unwritten
from tinyres_kernels.conformance.in_values import Trait
from tinyres_kernels.conformance.plainer import settings, values
from tinyres_kernels.conformance.tails import Tail


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
    equal: tuple[str, str] | None = None  # two sizes that have to be
    value: Trait | None = None  # what its numbers must have
    placed: bool = False  # whether an end of an axis is all that it is about
    error: float = 0.0  # relative, where it is too small for float32
    named: str = ""  # the heading, where the cause is known better than from the cases
    scope: str = ""  # "every case", or "every float32 case", where that is so

    @property
    def sign(self) -> str:
        """The gravest sign."""
        return next(sign for sign in SIGNS if sign in self.signs)

    @property
    def name(self) -> str:
        """What is needed, and for what."""
        if self.error:
            small = f"a small error, of relative size {self.error:.0e}: too small to be seen in float32"
            where = self.named or " and ".join(need for need in self.needs if need != "float64")
            return f"{where}: {small}" if where else small
        never = unwritten(self.example) if self.sign == "unwritten" else []
        does = f"leaves {joined(never)} unwritten" if never else SIGNS[self.sign]
        where = "not repeatable" if self.sign == "shaky" else self.named or self.scope or " and ".join(self.needs)
        return f"{where or 'some cases'}: {does}"


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
    for kind in sorted(made, key=lambda kind: (bool(kind.example.case.put), len(kind.needs))):
        same = next((k for k in kept if k.sign == kind.sign and _covers(k, kind)), None)
        if same is None:
            kept.append(kind)
        else:
            same.findings += [f for f in kind.findings if all(f is not one for one in same.findings)]
    return sorted(kept, key=lambda kind: order[id(kind)])


def _covers(kind: Kind, other: Kind) -> bool:
    if kind.means or other.means:
        return kind.means == other.means
    return not kind.placed and all(explains(kind, finding) for finding in other.findings)


def same_error(kind: Kind, finding: Finding) -> bool:
    """Whether both raise the same type of error in the same line, whatever they say of it."""
    return bool(finding.raised) and kind.example.raised == finding.raised


def put_need(kind: Kind) -> str:
    """Which values the failing cases have in common that are not finite, and in which arrays."""
    puts = [f.case for f in [kind.example, *kind.findings] if f.case.put]
    values = {case.put.value for case in puts if case.put}
    named = {"a NaN": any(np.isnan(v) for v in values), "an infinity": any(np.isinf(v) for v in values)}
    arrays = dict.fromkeys(case.reads[case.put.argument].name for case in puts if case.put)
    what = " or ".join(name for name, there in named.items() if there)
    return f"{what} in {' or '.join(arrays)}" if what else ""


def explains(kind: Kind, finding: Finding) -> bool:
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
            and (case.again or not small.again)
            and (kind.value is not None or _sized(small, case, kind.tail.key if kind.tail else ""))
            and (kind.tail is None or kind.tail.holds(case, mirrored=small is not kind.plainest[0]))
            for small in kind.plainest
        )
        and all(dtype not in kind.needs or case.dtype == dtype for dtype in ("float32", "float64"))
        and all(case.structure[key] == value for key, value in kind.flags.items())
        and (kind.value is None or kind.value.holds(case, case.inputs()))
        and (kind.equal is None or case.structure[kind.equal[0]] == case.structure[kind.equal[1]])
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
