"""One case put to one kernel: what is wrong with what it does, if anything."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.conformance.agree import WIDE, right, standard, worst
from tinyres_kernels.conformance.declare import Arg, Arrays, Case, call, specification
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.namespace import Array

Kernel = Callable[..., Any]

ROUNDINGS = 6  # allowed, in eps of the kernel's dtype times the sum of the terms' absolute values
GUARD = 1024  # elements before and after each result that nobody may touch
FENCE, STALE = -7254.5, 12345.5  # what the guards hold, and what the result holds before the second run
RIGHT, WRONG, NAN = ".", "X", "N"


@dataclass
class Finding:
    """What came of one case. `marks` has a character for each element of each result that is not right."""

    case: Case
    faults: list[str] = field(default_factory=list)
    marks: Arrays = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.faults


class Run(NamedTuple):
    outputs: Arrays
    faults: list[str]


def examine(kernel: Kernel, case: Case) -> Finding:
    """Run one case three times, over different rubbish, and hold what comes out against the specification."""
    inputs = case.inputs()
    first, second, again = (_run(kernel, case, inputs, held) for held in (np.nan, STALE, np.nan))
    finding = Finding(case, list(dict.fromkeys(first.faults + second.faults + again.faults)))
    if case.refused or not (first.outputs and second.outputs and again.outputs):
        return finding
    expected, allowed = standard(case.op, inputs, first.outputs, case.keywords, ROUNDINGS)
    for arg in case.writes:
        name = arg.name
        runs = first.outputs[name], second.outputs[name], again.outputs[name]
        _compare(finding, arg, runs, expected[name], allowed[name])
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    finding.faults += adjoint(case, wide, first.outputs, allowed)
    return finding


def _run(kernel: Kernel, case: Case, inputs: Arrays, held: float) -> Run:
    """One call; no outputs where it raised. Inputs are copies, results lie between guards and hold `held` before."""
    given = {name: a.copy() for name, a in inputs.items()}
    for a in given.values():
        a.flags.writeable = not case.readonly
    buffers, outputs = guarded(case, held)
    before = {name: a.tobytes() for name, a in outputs.items()}
    everything = {**given, **outputs}
    positional = [everything[arg.name] if arg else None for arg in case.arguments]
    error: Exception | SystemExit | None = None
    try:
        with np.errstate(all="ignore"):
            call(case.op.name, kernel, positional, case.keywords)
    except (Exception, SystemExit) as caught:  # whatever it is, it is the kernel's and belongs in the report
        error = caught
    faults = overruns(buffers)
    faults += [f"wrote to its input {name}" for name, a in given.items() if a.tobytes() != inputs[name].tobytes()]
    if case.refused:
        came = f"raised {type(error).__name__}: {error}" if error else "accepted them"
        if not isinstance(error, ValueError):
            faults.append(f"needed ValueError for shapes that do not belong together, but the contract {came}")
        faults += [f"wrote to {name} before it refused" for name, a in outputs.items() if a.tobytes() != before[name]]
        return Run({}, faults)
    if error:
        return Run({}, [*faults, f"raised {type(error).__name__}: {error}"])
    return Run(outputs, faults)


def guarded(case: Case, held: float) -> tuple[Arrays, Arrays]:
    """Buffers, and the arrays that the kernel is to write: they lie between guards in them and hold `held`."""
    buffers, outputs = {}, {}
    for arg in case.writes:
        shape, dtype = case.shape(arg), arg.dtype or case.dtype
        buffers[arg.name] = np.full(prod(shape) + 2 * GUARD, FENCE).astype(dtype)
        outputs[arg.name] = buffers[arg.name][GUARD : GUARD + prod(shape)].reshape(shape)
        outputs[arg.name][...] = np.nan_to_num(held, nan=-77) if np.dtype(dtype).kind == "i" else held
    return buffers, outputs


def overruns(buffers: Arrays) -> list[str]:
    """The faults of a kernel that wrote into guards."""
    return [
        f"wrote {'before the beginning' if side == 0 else 'past the end'} of {name}"
        for name, buffer in buffers.items()
        for side, guard in enumerate((buffer[:GUARD], buffer[-GUARD:]))
        if (guard != np.full(1, FENCE).astype(guard.dtype)).any()
    ]


def _compare(finding: Finding, arg: Arg, runs: tuple[Array, Array, Array], expected: Array, allowed: Array) -> None:
    """Tell apart the ways in which a result can be wrong; add them to the finding."""
    over_nan, over_stale, again = runs
    name, total = arg.name, expected.size
    same = (over_nan == over_stale) | (np.isnan(over_nan) & np.isnan(over_stale))
    unwritten = ~same & (over_stale == STALE // 1 if arg.dtype else over_stale == np.asarray(STALE, over_stale.dtype))
    stale = ~same & ~unwritten
    wrong = ~unwritten & ~stale & ~right(over_stale, expected, allowed)
    bits = f"u{over_nan.itemsize}"
    shaky = over_nan.view(bits) != again.view(bits)
    marks = np.full(expected.shape, RIGHT)
    marks[wrong | stale | shaky] = WRONG
    marks[unwritten | (wrong & np.isnan(over_stale))] = NAN
    faults = []
    if unwritten.any():
        faults.append(f"{name}: {unwritten.sum()} of {total} elements still hold what was there before: never written")
    if stale.any():
        faults.append(f"{name}: what it held before shows in {stale.sum()} of {total} elements (added to, not set?)")
    if shaky.any():
        faults.append(f"{name}: the same arguments gave other numbers the second time ({shaky.sum()} of {total})")
    if wrong.any():
        axes = list(finding.case.axes(arg))
        faults.append(worst(name, wrong, over_stale, expected, allowed, axes))
    if faults:
        finding.faults += faults
        finding.marks[name] = marks


def adjoint(case: Case, inputs: Arrays, outputs: Arrays, allowed: Arrays) -> list[str]:
    """Check the identities that make the operation one side of a multilinear form, the other sides being specified.

    For `conv2d`: <g, conv2d(x, w)> = <conv2d_dx(g, w), x> = <conv2d_dw(x, g), w>, for a drawn g.
    """
    form = case.op.form
    if not form or case.put:  # with a NaN both sides are NaN
        return []
    own = next(variable for variable, op in form.items() if op == case.op.name)
    result = outputs[case.writes[0].name].astype("float64")
    cotangent = np.random.default_rng(case.seed + 1).standard_normal(result.shape)
    arrays = {**inputs, **outputs, own: cotangent}
    value = float(np.vdot(cotangent, result))
    slack = float((abs(cotangent) * (allowed[case.writes[0].name] + 8 * WIDE * abs(result))).sum())
    faults = []
    for variable, name in form.items():
        if variable == own:
            continue
        order = OPS[name].order
        read = {key: arrays[key] for key in order if key in arrays and key != "out"}
        other = specification(name, read, {"out": arrays[variable]}, case.keywords, order)["out"]
        paired = float(np.vdot(other, arrays[variable]))
        if not abs(value - paired) <= slack:
            faults.append(
                f"the adjoint identity does not hold: <{own}, {case.op.name}> is {value:.6g}, "
                f"but <{name}, {variable}> is {paired:.6g}"
            )
    return faults
