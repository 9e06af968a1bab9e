"""Cases as they occur, drawn: sizes spread evenly over their logarithm, near the numbers where something changes."""

from collections.abc import Callable
from dataclasses import replace
from math import exp, log, prod
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinyres_kernels.conformance import (
    activations,
    attention,
    elementwise,
    loss,
    matmul,
    norm,
    row_norm,
    update,
    windows,
)
from tinyres_kernels.conformance.declare import Case, Op, Put, Structure
from tinyres_kernels.conformance.layouts import CHANGES, LAYOUTS
from tinyres_kernels.conformance.trial import Names, Trial
from tinyres_kernels.geometry import extent
from tinyres_kernels.settings import ACTIVATIONS

Rng = np.random.Generator
OVER_ROWS = norm.NORM, norm.FORWARD, row_norm.LAYER, matmul.COLUMNS  # that sum over rows, which may all be one
T = TypeVar("T")

CHANNELS, IMAGE, BATCH = 1024, 256, 256  # at most


class Budget(NamedTuple):
    """The largest case: elements of all its arrays, and multiplications."""

    elements: float = 4e6
    multiplications: float = 1e9
    least: float = 1e3  # elements of the smallest budget: a case's own is drawn in between


def draw(rng: Rng, op: Op, budget: Budget = Budget(), threads: int = 1) -> Trial:  # noqa: B008 (it is immutable)
    """One case of an operation, small enough for a budget that is itself drawn: most cases are small, and quick."""
    share = exp(rng.uniform(log(budget.least / budget.elements), 0)) if budget.least < budget.elements else 1.0
    structure = _fitting(
        rng, op, STRUCTURES[id(op.family)](rng), budget.elements * share, budget.multiplications * share
    )
    dtype = "float32" if rng.random() < 0.75 else "float64"
    case = Case(op, "drawn", structure, dtype, int(rng.integers(2**32)))
    known = list(LAYOUTS)
    # A bound of a few roundings counts on terms that round differently: those of equal terms add up, in any sum.
    if dtype == "float64" and any(op.family is one for one in OVER_ROWS):  # in float32: in float64
        known.remove("broadcast")
    layouts = {arg.name: _some(rng, known, 0.35) for arg in case.reads}
    if op.name == "conv2d_dw" and all("broadcast" in names for names in layouts.values()):
        layouts["g"].remove("broadcast")  # else each image would add the same
    changes: Names = {}
    if rng.random() < 0.15:
        puts = _puts(op)
        put = puts[rng.integers(len(puts))] if puts else None
        case = replace(case, put=put if put and put.argument < len(case.reads) else None)
    elif op.form or any(op.family is one for one in (elementwise.SUM, elementwise.RELU, matmul.PRODUCT)):
        changes = {arg.name: _some(rng, list(CHANGES), 0.1) for arg in case.reads if not arg.dtype}
    layouts, changes = ({k: v for k, v in names.items() if v} for names in (layouts, changes))
    return Trial(case, layouts, changes, int(rng.integers(1, threads + 1)))


def _some(rng: Rng, names: list[str], chance: float) -> list[str]:
    """Mostly none, sometimes one or two."""
    count = 0 if rng.random() >= chance else 1 if rng.random() < 0.8 else 2
    return [names[i] for i in rng.choice(len(names), count, replace=False)]


def _puts(op: Op) -> list[Put]:
    """The values that are planted into this operation's arrays in its named cases."""
    named = [case.put for case in op.cases.values() if case.put and not case.put.everywhere]
    return list(dict.fromkeys([*(Put(0, value) for value in op.special), *named]))


def _size(rng: Rng, most: float, least: int = 1) -> int:
    n = int(exp(rng.uniform(log(least), log(most + 1))))
    if rng.random() < 0.4:
        n = 2 ** round(log(max(n, 1), 2)) + int(rng.integers(-1, 2))
    return max(least, min(n, int(most)))


def _channels(rng: Rng) -> int:
    return 3 if rng.random() < 0.08 else _size(rng, CHANNELS)


def _one_of(rng: Rng, *values: T) -> T:
    return values[int(rng.integers(len(values)))]


def _pair(rng: Rng, chance: float, make: Callable[[], T]) -> tuple[T, T]:
    """Twice the same number, or with this chance two."""
    first = make()
    return first, make() if rng.random() < chance else first


# kernel, stride, padding: the layers that networks are made of
LAYERS = [(3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0), (4, 2, 1), (4, 2, 1), (4, 1, 0), (5, 1, 2),
          (5, 2, 2), (7, 1, 3), (7, 2, 3), (2, 2, 0), (3, 1, 0)]  # fmt: skip


def _windows(rng: Rng) -> Structure:
    if rng.random() < 0.4:
        kernel, stride, padding = ((n, n) for n in LAYERS[int(rng.integers(len(LAYERS)))])
        dilation = (1, 1)
    else:
        kernel = _pair(rng, 0.25, lambda: _one_of(rng, 1, 1, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 7, 7, 9))
        stride = _pair(rng, 0.15, lambda: _one_of(rng, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4))
        dilation = _pair(rng, 0.15, lambda: _one_of(rng, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3))
        most = [k // 2 if rng.random() < 0.8 else k + 2 for k in kernel]
        padding = tuple(_one_of(rng, int(rng.integers(0, p + 1)), p) for p in most)  # type: ignore[assignment]
    return {
        "N": 0 if rng.random() < 0.01 else _size(rng, BATCH),
        "hw": _pair(rng, 0.4, lambda: _size(rng, IMAGE)),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }


def _convolution(rng: Rng) -> Structure:
    inputs, outputs, kind = _channels(rng), _channels(rng), rng.random()
    groups = 1 if kind < 0.75 else int(rng.integers(2, 9)) if kind < 0.88 else inputs
    if groups > 1:
        inputs, outputs = max(1, inputs // groups), _one_of(rng, 1, 1, 2) if groups == inputs else outputs // groups
    return {**_windows(rng), "CG": inputs, "OG": max(1, outputs), "groups": groups}


def _pool(rng: Rng) -> Structure:
    drawn = _windows(rng)
    padding = tuple(min(p, k // 2) for p, k in zip(drawn["padding"], drawn["kernel"], strict=True))
    return {**drawn, "padding": padding, "CG": _channels(rng)}


def _average(rng: Rng) -> Structure:
    return {**_pool(rng), "dilation": (1, 1), "count_include_pad": bool(rng.random() < 0.5)}


def _norm(rng: Rng) -> Structure:
    flags = {name: bool(rng.random() < 0.5) for name in ("training", "relu", "residual")}
    # Without y the signs follow from x, and one so close to 0 as to be rounded may differ.
    return {"M": _size(rng, 1e6), "C": _channels(rng), "eps": _one_of(rng, 1e-5, 1e-5, 0.1), **flags, "y": True}


def _norm_forward(rng: Rng) -> Structure:
    return {**_norm(rng), "running": bool(rng.random() < 0.8), "momentum": _one_of(rng, 0.1, 0.1, 1.0)}


def _rows(rng: Rng) -> Structure:
    classes = _one_of(rng, 10, 126, 127, 128, 129, 1000, _size(rng, 5000), _size(rng, 200))
    return {"M": _size(rng, 1e5), "C": classes, "scale": _one_of(rng, 1.0, 30.0, 1e4)}


def _answer(rng: Rng) -> Structure:
    return {"M": _size(rng, 2e6), "scale": _one_of(rng, 1.0, 30.0, 1e4), "hard": bool(rng.random() < 0.5)}


def _line(rng: Rng) -> Structure:
    return {"M": _size(rng, 2e6)}


def _slopes(rng: Rng) -> Structure:
    return {**_line(rng), "slope": _one_of(rng, 0.0, 0.01, 0.25, 1.0)}


def _smooth(rng: Rng) -> Structure:
    return {**_line(rng), "name": _one_of(rng, *ACTIVATIONS), "scale": _one_of(rng, 1e-6, 1.0, 8.0, 1e4)}


def _softmax(rng: Rng) -> Structure:
    return {**_rows(rng), "log": bool(rng.random() < 0.5)}


def _heads(rng: Rng) -> Structure:
    """With logits of the hundreds at most, whose exponentials float64 has."""
    sizes = {name: _size(rng, 1500) for name in "LS"} | {name: _size(rng, 130) for name in "EV"}
    return {
        "B": _size(rng, 8),
        "H": _size(rng, 4),
        **sizes,
        "scale": _one_of(rng, 0.125, 0.05),
        "causal": bool(rng.random() < 0.5),
        "size": 1.0,
    }


def _layer(rng: Rng) -> Structure:
    return {
        "M": _size(rng, 5e4),
        "C": 1 + _size(rng, 4000),
        "eps": _one_of(rng, 1e-5, 1e-3),
        "weight": bool(rng.random() < 0.7),
        "bias": bool(rng.random() < 0.7),
        "offset": _one_of(rng, 0.0, 10.0),
    }


def _dense(rng: Rng) -> Structure:
    return {**_product(rng), "bias": bool(rng.random() < 0.5)}


def _columns(rng: Rng) -> Structure:
    return {"M": _size(rng, 5e4), "C": _size(rng, 5e3)}


def _product(rng: Rng) -> Structure:
    return {"M": _size(rng, 5e4), "K": _size(rng, 5e3), "N": _size(rng, 5e3)}


def _step(**settings: tuple[Any, ...]) -> Callable[[Rng], Structure]:
    def drawn(rng: Rng) -> Structure:
        axes = _one_of(rng, (_size(rng, 2e6),), (_size(rng, 1024), _size(rng, 1024)),
                       (3, 3, _channels(rng), _channels(rng)))  # fmt: skip
        made: Structure = {"axes": axes, "first": bool(rng.random() < 0.2), "still": bool(rng.random() < 0.05)}
        made |= {"lr": _one_of(rng, 0.1, 1e-3), "weight_decay": _one_of(rng, 0.0, 0.1)}
        return made | {key: _one_of(rng, *values) for key, values in settings.items()}

    return drawn


_BOTH = (False, True)
STRUCTURES: dict[int, Callable[[Rng], Structure]] = {
    id(windows.CONV): _convolution,
    id(windows.MAX): _pool,
    id(windows.AVG): _average,
    id(norm.NORM): _norm,
    id(norm.FORWARD): _norm_forward,
    id(loss.ROWS): _rows,
    id(loss.ANSWER): _answer,
    id(loss.SOFTMAX): _softmax,
    id(activations.SMOOTH): _smooth,
    id(attention.HEADS): _heads,
    id(row_norm.LAYER): _layer,
    id(elementwise.SUM): _line,
    id(elementwise.RELU): _slopes,
    id(matmul.PRODUCT): _product,
    id(matmul.DENSE): _dense,
    id(matmul.COLUMNS): _columns,
    id(update.SGD): _step(momentum=(0.0, 0.5, 0.9), dampening=(0.0, 0.3), nesterov=_BOTH),
    id(update.ADAM): _step(beta1=(0.0, 0.5, 0.9), beta2=(0.9, 0.999), eps=(1e-8, 1e-3), decoupled=_BOTH,
                           step=(2, 10, 1000, 10**6), least=(0.1,)),
    id(update.RMSPROP): _step(alpha=(0.5, 0.9, 0.99), eps=(1e-8, 1e-3), momentum=(0.0, 0.9), centered=_BOTH,
                              least=(1.5,), centre=(0,)),
}  # fmt: skip


# How readily a size is halved where a case is too large: a batch before the channels.
WEIGHTS = {"N": 4, "M": 4, "hw": 3, "axes": 3, "K": 2, "CG": 1, "OG": 1, "groups": 1, "C": 1, "B": 4, "L": 3,
           "S": 3, "E": 1, "V": 1}  # fmt: skip


def _fitting(rng: Rng, op: Op, s: Structure, elements: float, multiplications: float) -> Structure:
    """The structure with its sizes halved, one by one, until it is small enough or can be no smaller."""
    s = _fitted(op, s)
    while True:
        case = Case(op, "", s)
        if case.elements <= elements and products(case) <= multiplications:
            return s
        smaller = {key: _fitted(op, {**s, key: _half(s[key])}) for key in WEIGHTS if key in s}
        smaller = {key: made for key, made in smaller.items() if made != s}
        if not smaller:
            return s
        weights = np.array([WEIGHTS[key] for key in smaller], float)
        s = smaller[list(smaller)[int(rng.choice(len(smaller), p=weights / weights.sum()))]]


def _half(value: Any) -> Any:
    return tuple(map(_half, value)) if isinstance(value, tuple) else (value + 1) // 2


def _fitted(op: Op, s: Structure) -> Structure:
    """The structure, its images no smaller than a window; a pool's windows hold more than padding."""
    if "hw" not in s:
        return s
    spans = [extent(k, d) for k, d in zip(s["kernel"], s["dilation"], strict=True)]
    if op.family is windows.CONV:
        spans = [max(1, span - 2 * p) for span, p in zip(spans, s["padding"], strict=True)]
    return {**s, "hw": tuple(map(max, s["hw"], spans))}


def products(case: Case) -> float:
    """How many multiplications a case takes, or what counts as one."""
    s, shapes = case.structure, {arg.name: case.shape(arg) for arg in case.reads + case.writes}
    if "kernel" in s:
        outputs = shapes["g" if "g" in shapes else "out"]
        return float(prod(outputs)) * prod(s["kernel"]) * (s["CG"] if "OG" in s else 1)
    if "L" in s:
        return float(s["B"] * s["L"] * s["S"] * (s["E"] + s["V"]))
    return float(s["M"]) * s["K"] * s["N"] if "K" in s else float(case.elements)
