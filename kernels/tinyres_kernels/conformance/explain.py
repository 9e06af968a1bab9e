"""What a kernel that runs windows over images seems to do: it is compared with faulty versions of the specification."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinyres_kernels import reference
from tinyres_kernels.conformance.agree import ENOUGH, WIDE, precision, standard
from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import NAN, WRONG, Finding
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.geometry import Axis
from tinyres_kernels.namespace import Array

Fault = Callable[[Case, Arrays], Arrays]  # what a kernel with this fault writes
LARGEST, COMPARED = 1500, 6  # elements of a case, since these are loops; cases
SEVERAL, MOST = 3, 0.75  # cases, and the share of them, that must say the same of how numbers were rounded
KEEPS = (
    "It seems to keep something from one call to the next, a result or a copy of an input, and to use it again for "
    "arrays of the same shapes, or at the same place, that hold other numbers by now."
)
HALVES = (
    "It writes the first half of each result's bytes and no more: C's float where double is needed. Arrays are float32 "
    "in some cases and float64 in others."
)
CLOSE = {"float32": 1e-4, "float64": 1e-9}


def means(findings: Sequence[Finding]) -> str:
    """A sentence on the fault that gives just these wrong numbers; empty where none of the known ones does."""
    usable = [f for f in findings if f.outputs and not f.case.put and f.case.elements <= LARGEST]
    usable = [f for f in usable if not f.ok][:COMPARED]
    if not usable or not hasattr(OPERATIONS[usable[0].case.op.name].settings, "axes"):
        return ""
    inputs = [finding.case.inputs() for finding in usable]
    for text, fault in _faults(usable[0].case.op.name):
        if all(_same(finding, fault, given) for finding, given in zip(usable, inputs, strict=True)):
            return text
    return ""


def in_memory(case: Case) -> str:
    """A sentence on the fault of a kernel that fails only where arrays lie in memory as they do in this case."""
    if case.over:
        return f"It has not read {case.over} yet where it begins to write out, which may be the same array."
    names = [arg.name for arg in case.reads if len(case.shape(arg)) > 1] or [arg.name for arg in case.reads]
    return (
        "It takes an input to be C-contiguous; one may be a view, with other strides. To mend it, begin with "
        f"{names[0]} = np.ascontiguousarray({names[0]}){', and so on' * (len(names) > 1)}, or heed the strides."
    )


def rounded(findings: Sequence[Finding]) -> str:
    """A sentence on the dtype to which the numbers were rounded on the way, where nearly every case says the same."""
    told = []
    for finding in findings:
        case = finding.case
        if finding.outputs and not case.put and finding.wrong >= ENOUGH:
            expected = standard(case.op, case.inputs(), finding.outputs, case.keywords, 0)[0]
            marks = {name: one == WRONG for name, one in finding.marks.items() if name in finding.outputs}
            got, needed = ([a[name][at] for name, at in marks.items()] for a in (finding.outputs, expected))
            told.append(precision(np.concatenate(got), np.concatenate(needed)) if got else "")
    dtype = max(told, key=told.count, default="")
    if not dtype or told.count(dtype) < max(SEVERAL, MOST * len(told)):
        return ""
    return f"It seems to round to {dtype} on the way: its numbers have as many digits."


def small_error(finding: Finding) -> float:
    """How large the error is beside the terms of its result, where float32 would not show it; else 0."""
    case = finding.case
    if case.dtype != "float64" or not finding.outputs or not finding.wrong or case.put:
        return 0.0
    expected, allowed = standard(case.op, case.inputs(), finding.outputs, case.keywords, 1)
    largest = 0.0
    for name in finding.outputs.keys() & finding.marks.keys():
        with np.errstate(all="ignore"):
            share = abs(finding.outputs[name] - expected[name]) / allowed[name] * WIDE
        largest = max(largest, float(share[finding.marks[name] == WRONG].max(initial=0.0)))
    return largest if largest < float(np.finfo("float32").eps) else 0.0


def half_written(findings: Sequence[Finding]) -> str:
    """A sentence on the kernel that leaves the second half of every float64 result unwritten; empty for any other."""
    for finding in findings:
        for name, marks in finding.marks.items():
            half = marks.reshape(-1)[marks.size // 2 :]
            if finding.case.dtype != "float64" or (half != NAN).any() or (marks == NAN).sum() != half.size:
                return ""
            if finding.outputs[name].dtype.kind == "i":
                return ""
    return HALVES if any(marks.size > 1 for f in findings for marks in f.marks.values()) else ""


def _same(finding: Finding, fault: Fault, inputs: Arrays) -> bool:
    try:
        with np.errstate(all="ignore"):
            made = fault(finding.case, inputs)
    except (ValueError, IndexError, ZeroDivisionError):  # nothing that this fault could do here
        return False
    close = CLOSE[finding.case.dtype]
    return all(np.allclose(a, made[name], close, close, equal_nan=True) for name, a in finding.outputs.items())


def _faults(op: str) -> Iterator[tuple[str, Fault]]:
    """The faults, each with its sentence; of two that cannot be told apart the likelier one comes first."""
    settings = OPERATIONS[op].settings._fields
    for sides, which in (((0, 1), ""), ((0,), " of the rows"), ((1,), " of the columns")):
        yield f"It ignores the stride{which}: it takes it to be 1.", _bent(op, sides, lambda a, b: a._replace(stride=1))
        if "dilation" in settings:
            yield (
                f"It ignores the dilation{which}: it takes it to be 1.",
                _bent(op, sides, lambda a, b: a._replace(dilation=1)),
            )
        yield f"It ignores the padding{which}.", _bent(op, sides, lambda a, b: a._replace(padding=0))
        yield (
            f"It begins one pixel too late: the padding{which} is one too small.",
            _bent(op, sides, lambda a, b: a._replace(padding=a.padding - (a.padding > 0))),
        )
        yield (
            f"It begins one pixel too late, even without padding{which}.",
            _bent(op, sides, lambda a, b: a._replace(padding=a.padding - 1)),
        )
        yield (
            f"It begins one pixel too early: the padding{which} is one too large.",
            _bent(op, sides, lambda a, b: a._replace(padding=a.padding + (a.padding > 0))),
        )
        yield (
            f"It begins one pixel too early, even without padding{which}.",
            _bent(op, sides, lambda a, b: a._replace(padding=a.padding + 1)),
        )
        yield (
            f"It puts all of the padding{which} on one side, before the image.",
            _bent(op, sides, lambda a, b: a._replace(padding=2 * a.padding)),
        )
        yield (
            f"It takes the stride{which} to be one too large.",
            _bent(op, sides, lambda a, b: a._replace(stride=a.stride + (a.stride > 1))),
        )
    for name in ("stride", "padding", "dilation"):
        if name in settings:
            yield (
                f"It exchanges the {name} of rows and columns.",
                _bent(op, (0, 1), lambda a, b, name=name: a._replace(**{name: getattr(b, name)})),  # type: ignore[misc]
            )
    if op == "avg_pool2d":
        yield "It counts the padding, whatever count_include_pad says.", _counting(op, True)
        yield "It never counts the padding, whatever count_include_pad says.", _counting(op, False)
    if op == "max_pool2d":
        yield "It takes the padding to be zeros, which must never be the largest.", _padded(op, "constant")
        yield "Of equal numbers in a window it takes the last; here the first one wins.", _last_of_equal
    if op in ("conv2d", "avg_pool2d"):
        yield "It repeats the image's rim where there is padding, in place of zeros.", _padded(op, "edge")
        yield "It mirrors the image where there is padding, in place of zeros.", _padded(op, "reflect")
    if "groups" in settings:
        yield "It reads the channels of the first group for every group.", _channels(op, _first_group)
        yield "It deals the channels out to the groups in turn, in place of one block to each.", _channels(op, _dealt)
    if op in ("conv2d", "conv2d_dx"):
        turned = "It turns the weights round, as a convolution in the mathematical sense does; here w[0, 0] meets the "
        turned += "window's first pixel (a cross-correlation)."
        yield turned, _weights(op, lambda w: w[::-1, ::-1])
        yield "It turns the weights' rows round.", _weights(op, lambda w: w[::-1])
        yield "It turns the weights' columns round.", _weights(op, lambda w: w[:, ::-1])
        yield "It exchanges the rows and columns of the weights.", _weights(op, lambda w: w.transpose(1, 0, 2, 3))
        yield "It exchanges the input and output channels of the weights.", _weights(op, _exchanged)


def _run(op: str, case: Case, inputs: Arrays, settings: Any) -> Arrays:
    made = {a.name: np.zeros(case.shape(a), a.dtype or "float64") for a in case.writes}
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    body = getattr(reference.conv if op.startswith("conv") else reference.pool, op)
    body(*({**wide, **made}[name] for name in OPERATIONS[op].arrays), settings)
    return made


def _bent(op: str, sides: tuple[int, ...], bend: Callable[[Axis, Axis], Axis]) -> Fault:
    """The specification with the axes bent on these sides. An axis knows which pixels there are: nothing overruns."""

    def fault(case: Case, inputs: Arrays) -> Arrays:
        kind = OPERATIONS[op].settings
        right = kind(**case.keywords)

        def axes(self: Any, *shapes: Any) -> tuple[Axis, ...]:
            own = right.axes(*shapes)
            return tuple(bend(own[i], own[1 - i]) if i in sides else own[i] for i in (0, 1))

        return _run(op, case, inputs, type("Bent", (kind,), {"axes": axes})(*right))

    return fault


def _counting(op: str, counts: bool) -> Fault:
    return lambda case, inputs: _run(
        op, case, inputs, OPERATIONS[op].settings(**case.keywords)._replace(count_include_pad=counts)
    )


def _padded(op: str, mode: Any) -> Fault:
    def fault(case: Case, inputs: Arrays) -> Arrays:
        s = OPERATIONS[op].settings(**case.keywords)
        (rows, columns), x = s.padding, inputs["x"]
        wider = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), mode)
        return _run(op, case, {**inputs, "x": wider}, s._replace(padding=(0, 0)))

    return fault


def _last_of_equal(case: Case, inputs: Arrays) -> Arrays:
    """The image turned round both ways, and what comes of it turned back."""
    s = OPERATIONS["max_pool2d"].settings(**case.keywords)
    x, sizes = inputs["x"], inputs["x"].shape[1:3]
    over = [
        (n + 2 * p - d * (k - 1) - 1) % step
        for n, p, d, k, step in zip(sizes, s.padding, s.dilation, s.kernel, s.stride, strict=True)
    ]
    if any(m > p for m, p in zip(over, s.padding, strict=True)):  # turned round, windows would begin at other pixels
        x = x[:, : sizes[0] - over[0], : sizes[1] - over[1]]
        if any(s.padding):
            raise ValueError("not for these sizes")
    elif any(over):
        raise ValueError("not for these sizes")
    turned = np.ascontiguousarray(x[:, ::-1, ::-1])
    made = _run("max_pool2d", case, {**inputs, "x": turned}, s)
    taps = s.kernel[0] * s.kernel[1]
    return {"out": made["out"][:, ::-1, ::-1], "index": taps - 1 - made["index"][:, ::-1, ::-1]}


def _channels(op: str, change: Callable[[Array, int], Array]) -> Fault:
    def fault(case: Case, inputs: Arrays) -> Arrays:
        first = case.reads[0].name
        groups = case.keywords["groups"]
        return _run(
            op, case, {**inputs, first: change(inputs[first], groups)}, OPERATIONS[op].settings(**case.keywords)
        )

    return fault


def _first_group(a: Array, groups: int) -> Array:
    return np.concatenate([a[..., : a.shape[-1] // groups]] * groups, -1)


def _dealt(a: Array, groups: int) -> Array:
    return np.concatenate([a[..., i::groups] for i in range(groups)], -1)


def _weights(op: str, change: Callable[[Array], Array]) -> Fault:
    def fault(case: Case, inputs: Arrays) -> Arrays:
        changed = np.ascontiguousarray(change(inputs["w"]))
        if changed.shape != inputs["w"].shape:
            raise ValueError("not for these weights")
        return _run(op, case, {**inputs, "w": changed}, OPERATIONS[op].settings(**case.keywords))

    return fault


def _exchanged(w: Array) -> Array:
    return w.transpose(0, 1, 3, 2)
