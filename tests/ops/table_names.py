"""Rows of operations that PyTorch's users know: rounding, ordering, gathering, products, norms, triangles, bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinyres as tr
from tests.ops.oracles import (
    away,
    distinct,
    each,
    gathered,
    largest,
    lines,
    normal,
    placed,
    positive,
    row,
    smallest,
    variance,
)
from tinyres.ops.arranging import trace

INDEX = np.array([[2, 0, 0, 1], [0, 2, 1, 1]])  # for gather along axis 0 of (3, 4)
DIAGONAL = np.eye(3, dtype=bool)
PLACES = np.array([[2, 0, 0, 1], [0, 2, 1, 0]])  # no place twice


def between(*shape: int) -> Any:
    """Not within 0.2 of a whole number or of a half."""
    return lambda rng: rng.integers(-3, 3, shape) + rng.choice([0.25, 0.75], shape) + 0.04 * rng.random(shape)


def name_rows() -> None:
    shape = {"empty": ((0, 3),)}
    row("expm1", tr.expm1, each(math.expm1), normal(2, 3), analytic=True, **shape)
    row("sin", tr.sin, each(math.sin), normal(2, 3), analytic=True, **shape)
    row("cos", tr.cos, each(math.cos), normal(2, 3), analytic=True, **shape)
    row("", tr.tan, each(math.tan), lambda rng: rng.random((2, 3)) * 2 - 1, case="tan", analytic=True)
    for how, oracle in (("floor", math.floor), ("ceil", math.ceil), ("trunc", math.trunc), ("round", round)):
        row("rounded", getattr(tr, how), each(oracle), between(2, 3), case=how, allow_zero=True, **shape)
    row("rounded", lambda x: tr.round(x, decimals=1), each(lambda x: math.floor(x * 10 + 0.5) / 10),
        lambda rng: rng.integers(-9, 9, 4) / 10 + 0.03, case="to a decimal", allow_zero=True)  # fmt: skip
    row("floor_divide", lambda a, b: a // b, each(lambda a, b: math.floor(a / b)), normal(2, 3), away(3),
        allow_zero=True)  # fmt: skip
    row("remainder", lambda a, b: a % b, each(lambda a, b: a - b * math.floor(a / b)), normal(2, 3), away(3))
    row("remainder", lambda a: 2.0 % a, each(lambda a: 2 - a * math.floor(2 / a)), positive(4), case="of a number")
    row("", lambda a, b: tr.add(a, b, alpha=2.5), each(lambda a, b: a + 2.5 * b), normal(2, 3), normal(3),
        case="add: alpha")  # fmt: skip
    row("", lambda x, lo, hi: tr.clamp(x, lo, hi), each(lambda x, lo, hi: sorted([lo, x, hi])[1]),
        lambda rng: np.array([[-2.0, -0.6, 0.2], [0.3, 1.6, -1.8]]) + 0.05 * rng.random((2, 3)),
        lambda rng: -1.2 + 0.1 * rng.random(3), lambda rng: 1.2 + 0.1 * rng.random((2, 1)), case="clamp: tensors",
        empty=((0, 3), (3,), (1,)))  # fmt: skip
    row("", lambda x: tr.std(x, 0), lines(lambda v: math.sqrt(variance(1)(v)), (0,)), normal(4, 3), case="std")
    for p, formula in {
        1: lambda v: math.fsum(map(abs, v)), 2: lambda v: math.hypot(*v),
        3.5: lambda v: sum(abs(a) ** 3.5 for a in v) ** (1 / 3.5),
        math.inf: lambda v: max(map(abs, v)), -math.inf: lambda v: min(map(abs, v)),
    }.items():  # fmt: skip
        row("", lambda x, p=p: tr.norm(x, p, -1), lines(formula, (-1,)), away(3, 4), case=f"norm {p}")
    ordering_rows()
    gathering_rows()
    arranging_rows()
    bit_rows()


def ordering_rows() -> None:
    row("argmin", lambda x: tr.argmin(x, dim=1), lines(lambda v: v.index(smallest(v)), (1,)), distinct(2, 4),
        differentiable=False)  # fmt: skip
    row("argsort", lambda x: tr.argsort(x, 1), lambda x: np.array([sorted(range(4), key=v.__getitem__) for v in x]),
        distinct(2, 4), differentiable=False)  # fmt: skip
    row("argsort", lambda x: tr.argsort(x, 0, True), lambda x: np.array([[0, 0], [2, 2], [1, 1]]),
        lambda rng: np.array([[3.0, 3.0], [1.0, 1.0], [3.0, 3.0]]) - [[0, 0], [0, 0], [1, 1]],
        case="downwards", differentiable=False)  # fmt: skip
    row("", lambda x: tr.sort(x, 0).values, lambda x: np.array([sorted(v) for v in x.T]).T, distinct(4, 3), case="sort",
        empty=((0, 3),))  # fmt: skip
    row("", lambda x: tr.topk(x, 2, -1).values, lambda x: np.array([sorted(v)[:-3:-1] for v in x]), distinct(3, 4),
        case="topk")  # fmt: skip
    for name, function, pick in (("max", tr.max, largest), ("min", tr.min, smallest)):
        row(
            "",
            lambda x, function=function: function(x, 1)[0],
            lines(pick, (1,)),
            distinct(3, 4),
            case=f"{name}: values",
        )
        row("", lambda x, function=function: function(x, dim=0, keepdim=True).values, lines(pick, (0,), True),
            distinct(3, 4), case=f"{name}: values kept")  # fmt: skip
    for axis in (0, -1):
        row(
            "",
            lambda x, axis=axis: tr.prod(x, axis),
            lines(math.prod, (axis,)),
            normal(5, 3),
            case=f"prod: axis {axis}",
        )
        row("", lambda x, axis=axis: tr.cumprod(x, axis), lambda x, axis=axis: np.cumprod(x, axis), normal(5, 3),
            case=f"cumprod: axis {axis}", empty=((0, 3),))  # fmt: skip
    row("", tr.prod, lambda x: math.prod(x.ravel()), lambda rng: np.array([[2.0, 0.0, 3.0], [0.5, 1.0, -1.0]]) * 1.0,
        case="prod: with a zero")  # fmt: skip


def gathering_rows() -> None:
    row(
        "",
        lambda x: tr.gather(x, 0, INDEX),
        gathered((2, 4), lambda i, j: (INDEX[i, j], j)),
        normal(3, 4),
        case="gather",
    )

    def put(x: np.ndarray, src: np.ndarray) -> np.ndarray:
        out = x.copy()
        for i, j in np.ndindex(2, 4):
            out[PLACES[i, j], j] = src[i, j]
        return out

    row("", lambda x, src: tr.scatter(x, 0, PLACES, src), put, normal(3, 4), normal(2, 5), case="scatter")
    row("", lambda x: tr.scatter(x, 0, PLACES, 0.5), lambda x: put(x, np.full((2, 4), 0.5)), normal(3, 4),
        case="scatter: a number")  # fmt: skip
    row("", lambda x, src: tr.scatter_add(x, 0, INDEX, src),
        lambda x, src: x + placed((3, 4), lambda i, j: (INDEX[i, j], j))(src), normal(3, 4), normal(2, 4),
        case="added by gather's index")  # fmt: skip
    row("", lambda x: tr.index_select(x, 1, np.array([2, 0, 2])), gathered((2, 3), lambda i, k: (i, (2, 0, 2)[k])),
        normal(2, 3), case="index_select")  # fmt: skip
    row("", lambda x: tr.masked_fill(x, DIAGONAL, 7.0), lambda x: x * (1 - np.eye(3)) + 7 * np.eye(3),
        normal(3, 3), case="masked_fill")  # fmt: skip


def arranging_rows() -> None:
    row(
        "",
        lambda x: tr.repeat(x, 2, 1, 3),
        gathered((2, 2, 9), lambda _, i, j: (i, j % 3)),
        normal(2, 3),
        case="repeat",
    )
    row("", lambda x: tr.tile(x, (3,)), gathered((2, 6), lambda i, j: (i, j % 2)), normal(2, 2), case="tile")
    row("", lambda x: tr.roll(x, (1, -1), (0, 1)), gathered((2, 3), lambda i, j: (1 - i, (j + 1) % 3)), normal(2, 3),
        case="roll", empty=((0, 3),))  # fmt: skip
    row(
        "",
        lambda x: tr.diagonal(x, 1, -1, 0),
        gathered((2, 2), lambda k, i: (i + 1, k, i)),
        normal(3, 2, 2),
        case="diagonal",
    )
    row("", lambda x: tr.diag(x, -1), placed((4, 4), lambda i: (i + 1, i)), normal(3), case="diag of a vector")
    row("", lambda x: tr.diag(x, 1), gathered((2,), lambda i: (i, i + 1)), normal(3, 3), case="diag of a matrix")
    row(
        "",
        lambda x: tr.diag_embed(x, 1),
        placed((2, 4, 4), lambda n, i: (n, i, i + 1)),
        normal(2, 3),
        case="diag_embed",
    )
    row("", trace, lambda x: x[0, 0] + x[1, 1], normal(2, 3), case="trace")
    row("", lambda x: tr.tril(x, 1), lambda x: x * [[1, 1, 0], [1, 1, 1]], normal(2, 3), case="tril", empty=((0, 3),))
    row("", lambda x: tr.triu(x, -1), lambda x: x * [[1, 1], [1, 1], [0, 1]], normal(2, 3, 2), case="triu")
    row("", tr.outer, lambda a, b: a[:, None] * b, normal(2), normal(3), case="outer")


def bit_rows() -> None:
    few = lambda rng: rng.integers(0, 8, (4, 3))
    bits = {"bitwise_and": lambda a, b: a & b, "bitwise_or": lambda a, b: a | b, "bitwise_xor": lambda a, b: a ^ b}
    for name, operator in bits.items():
        row(name, operator, np.vectorize(lambda a, b, operator=operator: operator(int(a), int(b))), few,
            lambda rng: rng.integers(0, 8, 3), differentiable=False)  # fmt: skip
    row("bitwise_not", lambda x: ~x, lambda x: x == 0, lambda rng: rng.integers(0, 2, 4) > 0, differentiable=False)
