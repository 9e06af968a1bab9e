"""One case put to one kernel: what is wrong with what it does, if anything."""

import re
from bdb import BdbQuit
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from sysconfig import get_path
from time import perf_counter
from traceback import extract_tb
from typing import Any, NamedTuple

import numpy as np

from tinyres_kernels.conformance.adjoint import adjoint
from tinyres_kernels.conformance.agree import right, worst
from tinyres_kernels.conformance.asked import asked
from tinyres_kernels.conformance.calling import Arrays, call
from tinyres_kernels.conformance.declare import Arg, Case
from tinyres_kernels.conformance.fences import Overrun, guarded, overruns
from tinyres_kernels.conformance.gate import Misfit
from tinyres_kernels.namespace import Array

Kernel = Callable[..., Any]

STALE = 12345.5  # what a result holds before the second run
NAN_HIGH = int(np.frombuffer(np.array(np.nan).tobytes(), "u8")[0] >> 32)
AGAIN = 3  # more calls of a kernel that seems to depend on what its results held before
SHAKY = "the same call twice gave different results"
RIGHT, WRONG, NAN = ".", "X", "N"
READ_ONLY = "read-only"
_HERE, _LIBRARY = str(Path(__file__).parents[1]), get_path("stdlib")


# The signs of a fault, each with what a kernel that shows it does. The gravest comes first.
SIGNS = {
    "left": "was not run",
    "slow": "takes longer than the limit",
    "ended": "ends its process",
    "raised": "raises an error",
    "beyond": "writes beyond a result",
    "input": "writes to an input",
    "refusal": "is refused wrongly",
    "stale": "adds to what a result held before",
    "unwritten": "leaves elements unwritten",
    "shaky": "the same call twice gives different results, so pasting the example may pass",
    "wrong": "gives wrong numbers",
}


@dataclass
class Finding:
    """What came of one case.

    marks: a character for each element of each result that is not right, and of each input that was written to
    signs: which of `SIGNS` it shows;   outputs: what the first run wrote
    returned: the type of what the kernel returned;   seconds: of all runs
    printed: in the first one, where somebody keeps that
    """

    case: Case
    faults: list[str] = field(default_factory=list)
    marks: Arrays = field(default_factory=dict)
    signs: set[str] = field(default_factory=set)
    outputs: Arrays = field(default_factory=dict, repr=False)
    returned: str = "NoneType"
    seconds: float = 0.0
    printed: str = ""

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def sign(self) -> str:
        """The gravest sign; empty where nothing is wrong."""
        return next((sign for sign in SIGNS if sign in self.signs), "")

    @property
    def raised(self) -> tuple[str, ...]:
        """The type of the error that it raised, and the line of it; empty where it raised none."""
        fault = next((one for one in self.faults if one.startswith("raised ")), "")
        line = re.search(r"\(line \d+ of [^:]+:", fault)
        return (re.split(r"[ :]", fault)[1], line[0] if line else "") if fault else ()

    @property
    def left(self) -> bool:
        """Whether it was not run, after too many that did not come to an end: neither right nor wrong."""
        return self.signs == {"left"}

    @property
    def asked(self) -> bool:
        """Whether the case asks something of the kernel; the contract answers empty arrays and misfits itself."""
        return self.case.possible

    @property
    def wrong(self) -> int:
        """How many elements of its results are not right."""
        return sum(int((marks != RIGHT).sum()) for marks in self.marks.values())


class Run(NamedTuple):
    """One call: what it wrote, if it ran to its end; what is wrong with what it did, each with its sign."""

    outputs: Arrays
    faults: dict[str, str]
    returned: str
    changed: Arrays  # for each input that was written to, where


def unwritten(finding: Finding) -> list[str]:
    """The results of which it wrote no element."""
    if "unwritten" not in finding.signs:
        return []
    return [name for name, marks in finding.marks.items() if (marks == NAN).all()]


def joined(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def examine(kernel: Kernel, case: Case, told: Callable[[], str] = str) -> Finding:
    """Run one case three times, over different garbage, and compare the results with the specification.

    `told` returns what was printed since it was last called, where somebody keeps that.
    """
    start = perf_counter()
    inputs = case.inputs() if case.refused else asked(case).inputs
    first = _run(kernel, case, inputs, np.nan)
    printed = told()
    runs = [first, *(_run(kernel, case, inputs, held) for held in (STALE, np.nan))]
    told()
    faults = {fault: sign for run in runs for fault, sign in run.faults.items()}
    finding = Finding(case, list(faults), signs=set(faults.values()), returned=first.returned, printed=printed)
    finding.marks = {name: np.where(differ, WRONG, RIGHT) for name, differ in first.changed.items()}
    if all(run.outputs for run in runs):
        _judge(finding, inputs, runs)
        if "stale" in finding.signs and "shaky" not in finding.signs:  # or it was another one only by chance
            more = [_run(kernel, case, inputs, STALE).outputs for _ in range(AGAIN)]
            for name, a in runs[1].outputs.items():
                differ = sum(bool(one) and a.tobytes() != one[name].tobytes() for one in more)
                if differ:
                    finding.signs.add("shaky")
                    finding.faults.append(f"{name}: {SHAKY} ({differ} of {AGAIN} more calls)")
    elif any(run.outputs for run in runs) and not case.refused:
        error = next(fault for fault, sign in faults.items() if sign in ("raised", "input"))
        finding.faults, finding.signs = [f"{SHAKY}, but not every time: once it {error}"], {"shaky"}
    if "shaky" in finding.signs:  # then nothing else is known
        finding.faults = [fault for fault in finding.faults if SHAKY in fault]
        finding.signs = {"shaky"}
    finding.seconds = perf_counter() - start
    return finding


def _judge(finding: Finding, inputs: Arrays, runs: list[Run]) -> None:
    case = finding.case
    finding.outputs = runs[0].outputs
    _, expected, allowed, _ = asked(case)
    for arg in case.writes:
        name = arg.name
        first, second, again = (run.outputs[name] for run in runs)
        _compare(finding, arg, (first, second, again), expected[name], allowed[name])
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    if broken := adjoint(case, wide, finding.outputs, allowed):
        finding.faults += broken
        finding.signs = finding.signs or {"wrong"}


def _run(kernel: Kernel, case: Case, inputs: Arrays, held: float) -> Run:
    """One call; no outputs where it raised. Inputs are copies, results lie between guards and hold `held` before."""
    given = case.copies(inputs)
    for a in given.values():
        a.flags.writeable = not case.readonly
    buffers, outputs = guarded(case, held)
    if case.over:
        outputs["out"][...] = given.pop(case.over)
    everything = {**given, **outputs}
    everything |= {case.over: outputs["out"]} if case.over else {}
    positional = [everything[arg.name] if arg else None for arg in case.arguments]
    if case.again:
        _call_before(kernel, case, positional, given, outputs)
    before = {name: a.tobytes() for name, a in outputs.items()}
    error: Exception | SystemExit | None = None
    returned, beyond = "NoneType", list[str]()

    def noted(*arguments: Any) -> None:
        nonlocal returned
        returned = type(kernel(*arguments)).__name__

    try:
        with np.errstate(all="ignore"):
            call(case.op.name, noted, positional, case.keywords)
    except Misfit:  # the checker's own fault, and not the kernel's
        raise
    except Overrun as caught:
        beyond = caught.faults
    except (Exception, SystemExit) as caught:  # whatever it is, it is the kernel's and belongs in the report
        error = caught
    changed = {name: _differ(a, inputs[name]) for name, a in given.items() if a.tobytes() != inputs[name].tobytes()}
    faults = {}
    if error and not case.refused:  # first, since the other faults may follow from it
        sign = "input" if READ_ONLY in str(error) and case.readonly else "raised"
        faults[f"raised {_told(error)}{_where(error)}"] = sign
    faults |= dict.fromkeys(beyond + overruns(buffers), "beyond")
    if changed:
        faults[f"wrote to its input{'s' * (len(changed) > 1)} {joined(list(changed))}"] = "input"
    if case.refused:
        came = f"raised {type(error).__name__}: {error}" if error else "accepted them"
        if not isinstance(error, ValueError):
            fault = f"needed ValueError for shapes that do not belong together, but the contract {came}"
            faults[fault] = "refusal"
        for name, a in outputs.items():
            if a.tobytes() != before[name]:
                faults[f"wrote to {name} before it refused"] = "refusal"
        return Run({}, faults, returned, changed)
    if error:
        return Run({}, faults, returned, changed)
    return Run(outputs, faults, returned, changed)


def _call_before(kernel: Kernel, case: Case, positional: list[Array | None], *arrays: Arrays) -> None:
    """Call it with other numbers in the same arrays, which then hold again what they held."""
    there = {name: a for some in arrays for name, a in some.items()}
    held = {name: a.copy() for name, a in there.items()}
    for name, a in replace(case, seed=case.seed + 1).inputs().items():
        there[name][...] = a
    with np.errstate(all="ignore"):
        try:
            call(case.op.name, kernel, positional, case.keywords)
        except Misfit:
            raise
        except (Exception, SystemExit):  # it is called again, and seen then
            pass
    for name, a in held.items():
        there[name][...] = a


def _differ(a: Array, b: Array) -> Array:
    differ: Array = (a != b) & ~((a != a) & (b != b))  # a NaN that stays one is no difference
    return differ


def _told(error: BaseException) -> str:
    said = "a debugger has nobody to talk to here: add --limit 0" if isinstance(error, BdbQuit) else str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _where(error: BaseException) -> str:
    """The line of the reader's code that an error comes from: the last one that is in no installed package."""
    frames = [frame for frame in extract_tb(error.__traceback__)[1:] if not installed(frame.filename)]
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name}: {frames[-1].line})" if frames else ""


def installed(filename: str) -> bool:
    return filename.startswith(("<", _HERE, _LIBRARY)) or "site-packages" in filename


def _in_part(over_nan: Array, over_stale: Array) -> Array:
    """Where an element, or the half of its bytes that tells its size, was not written."""
    one = np.array(STALE, over_stale.dtype)
    whole: Array = over_stale == one
    if one.itemsize < 8:
        return whole
    high = int(np.frombuffer(one.tobytes(), "u8")[0] >> 32)
    half = (over_stale.view("u8") >> 32 == high) & (over_nan.view("u8") >> 32 == NAN_HIGH)
    return whole | half


def _compare(finding: Finding, arg: Arg, runs: tuple[Array, Array, Array], expected: Array, allowed: Array) -> None:
    """Tell apart the ways in which a result can be wrong; add them to the finding."""
    over_nan, over_stale, again = runs
    name, total = arg.name, expected.size
    same = (over_nan == over_stale) | (np.isnan(over_nan) & np.isnan(over_stale))
    unwritten = ~same & (over_stale == STALE // 1 if arg.dtype else _in_part(over_nan, over_stale))
    stale = ~same & ~unwritten
    wrong = ~unwritten & ~stale & ~right(over_stale, expected, allowed)
    bits = f"u{over_nan.itemsize}"
    shaky = over_nan.view(bits) != again.view(bits)
    marks = np.full(expected.shape, RIGHT)
    marks[wrong | stale | shaky] = WRONG
    marks[unwritten | (wrong & np.isnan(over_stale))] = NAN
    faults = {}
    if unwritten.any():
        faults["unwritten"] = (
            f"{name}: {unwritten.sum()} of {total} elements still hold what was there before: never written"
        )
    if stale.any():
        faults["stale"] = f"{name}: what it held before shows in {stale.sum()} of {total} elements (added to, not set?)"
    if shaky.any():
        faults["shaky"] = f"{name}: {SHAKY} ({shaky.sum()} of {total} elements)"
    if wrong.any():
        axes = list(finding.case.axes(arg))
        faults["wrong"] = worst(name, wrong, over_stale, expected, allowed, axes)
    if faults:
        finding.faults += faults.values()
        finding.signs |= faults.keys()
        finding.marks[name] = marks
