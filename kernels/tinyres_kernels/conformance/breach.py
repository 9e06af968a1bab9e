"""A kernel that breaks the contract fails everywhere. One sentence says what it does, and how to mend it."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tinyres_kernels.conformance.adapt import Adapt, turns
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import Finding, joined, unwritten
from tinyres_kernels.conformance.kernel import by_ctypes
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.signature import misfit
from tinyres_kernels.contract import OPERATIONS

Probe = Callable[[Case, Adapt | None], Finding]  # examines a case, with the kernel taken to be one that is so adapted
LIBRARIES = ("torch", "jax")  # which a kernel may be written for
CTYPES = (
    "It calls C through ctypes. The usual reasons: no argtypes, so that a pointer is cut to 32 bits (declare them for "
    "every function, pointers as ctypes.c_void_p of x.ctypes.data); arrays of another dtype than the C code's, such as "
    "float32 for double *; or an index that leaves its array."
)
# Sizes at which arrays with the channels first fit as well to a kernel that takes them to be last, and the other way
# round: whichever it is, it gets what its contract promises. Only the numbers tell.
TELLING = {"N": 2, "hw": (5, 3), "kernel": (3, 2), "CG": 3, "OG": 2}
TELLING_POOL = {"N": 2, "hw": (5, 6), "kernel": (3, 5), "padding": (1, 2), "CG": 3}


def breach(kernel: Any, op: str, named: Sequence[Finding], probe: Probe, how: Adapt) -> str | None:
    """The sentence, or None where the kernel keeps the contract, or its plain case is right."""
    plain = [finding for finding in named if finding.case.title == "plain"]
    if all(finding.ok for finding in plain):
        return None
    if sentence := misfit(kernel, op):
        return sentence
    first = next(finding for finding in plain if not finding.ok)  # one dtype may be right as it is
    asked = [f for f in named if not f.case.refused and f.asked]
    if any(finding.ok for finding in asked):
        return _other_arrays(kernel, first.case, probe, how)
    return _other_arrays(kernel, first.case, probe, how) or _everywhere(kernel, first, asked)


def _other_arrays(kernel: Any, plain: Case, probe: Probe, how: Adapt) -> str | None:
    """The sentence for a kernel that is right once it gets other arrays, or what it returns is taken."""
    op = plain.op.name
    sizes = TELLING if "OG" in plain.structure else TELLING_POOL
    structure = {**plain.structure, **{key: n for key, n in sizes.items() if key in plain.structure}}
    case = Case(plain.op, "telling", structure, plain.dtype, plain.seed)
    layouts = ("nhwc", "nchw") if how.layout == "nhwc" and turns(OPS[op]) else (how.layout,)
    for arrays in [how.arrays] if how.arrays else ["", *_libraries(kernel)]:
        for layout in layouts:
            for returned in (how.returned,) if arrays else (how.returned, True):  # a library's are taken anyway
                other = Adapt(layout, arrays, returned)
                if other != how and probe(case, other).ok:
                    return _sentence(op, how, other)
    return None


def _libraries(kernel: Any) -> list[str]:
    """The libraries of arrays that the kernel's module has imported."""
    names = {value.__name__ for value in getattr(kernel, "__globals__", {}).values() if isinstance(value, ModuleType)}
    return [library for library in LIBRARIES if any(name.partition(".")[0] == library for name in names)]


def _sentence(op: str, how: Adapt, other: Adapt) -> str:
    said, options, mends = [], [], []
    if other.arrays != how.arrays:
        said.append(f"takes arrays of {other.arrays}")
        options.append(f"--arrays {other.arrays}")
    if other.layout != how.layout:
        said.append("takes images as (N, C, H, W) and weights as (O, C/groups, KH, KW)")
        options.append("--layout nchw")
    if options:
        mends.append(f"run the check with {' '.join(options)}" + (", or transpose" * (other.arrays == how.arrays)))
    if other.returned != how.returned:
        said.append(f"returns its result and leaves {_results(op)} untouched")
        mends.append(_assign(op))
    return f"It {' and '.join(said)}; its numbers are right on a plain case. To mend it, {', and '.join(mends)}."


def _everywhere(kernel: Any, plain: Finding, asked: Sequence[Finding]) -> str | None:
    """The sentence for what it does in every case that asks something of it."""
    op = plain.case.op.name
    if all("slow" in f.signs or "ended" in f.signs or "left" in f.signs for f in asked):
        first = next(f for f in asked if f.signs - {"left"})
        mend = f" {CTYPES}" if "ended" in first.signs and by_ctypes(kernel) else ""
        return f"It {first.faults[0]} in its first case ({first.case.title}). Nothing more was run.{mend}"
    if all("raised" in f.signs for f in asked):
        return f"It {plain.faults[0].replace('raised', 'raises', 1)}, in every case. Begin with the plain one, below."
    if all(f.signs <= {"input"} for f in asked):
        told, name = plain.faults[0].replace("wrote", "writes", 1), plain.faults[0].split()[-1]
        mend = f"work on a copy, as in {name} = {name}.copy()"
        return f"It {told}, in every case; its results are right. To mend it, {mend}."
    forgotten = [arg.name for arg in plain.case.writes if all(_untouched(f, arg.name) for f in asked)]
    if forgotten and len(forgotten) < len(plain.case.writes) and all(f.marks.keys() <= set(forgotten) for f in asked):
        them = "it" if len(forgotten) == 1 else "them"
        places = [name if name in OPERATIONS[op].arrays else f"running.{name}" for name in forgotten]
        return (
            f"It leaves {joined(forgotten)} untouched; what else it writes is right. To mend it, fill {them} as well, "
            f"as in {'; '.join(f'{place}[...] = y' for place in places)}."
        )
    if len(forgotten) == len(plain.case.writes):
        if plain.returned == "NoneType":
            return (
                f"It leaves {_results(op)} untouched and returns nothing: `out = y` gives a name to another array. "
                f"To mend it, {_assign(op)}."
            )
        came = f"It returns its result (of type {plain.returned}) and leaves {_results(op)} untouched"
        return (
            f"{came}; what is returned is ignored, and is not right either. To mend it, {_assign(op)}, and check again."
        )
    return None


def _untouched(finding: Finding, name: str) -> bool:
    """Whether this result was never written; also where the case has none such."""
    written = [arg.name for arg in finding.case.writes]
    return name not in written or name in unwritten(finding)


def _results(op: str) -> str:
    return joined(OPERATIONS[op].writes)


def _assign(op: str) -> str:
    return "end it with " + "; ".join(f"{name}[...] = y" for name in OPERATIONS[op].writes)
