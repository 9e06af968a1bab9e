"""Every operation, once: sample inputs, an oracle that shares no code with it, and what may be asked of it.

A row names the primitive it is there for (empty for a function composed of others). Samples keep away from kinks by
more than a difference's step. Oracles are NumPy, SciPy, or plain Python on single numbers where NumPy's function of the
same name is what the operation itself calls. Images and losses have files of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special

import tinyres as tr
from tests.ops.oracles import (
    ROWS,
    Sample,
    away,
    distinct,
    each,
    each_bool,
    gathered,
    largest,
    lines,
    log_sum_exp,
    normal,
    placed,
    positive,
    row,
    smallest,
    variance,
)  # fmt: skip
from tests.ops.table_attention import attention_rows
from tests.ops.table_images import image_rows, normalization_rows
from tests.ops.table_layers import layer_rows
from tests.ops.table_linalg import linalg_rows
from tests.ops.table_loss_options import loss_option_rows
from tests.ops.table_losses import loss_rows
from tests.ops.table_names import name_rows
from tinyres.ops.activation import relu_dx, smooth_dx
from tinyres.ops.elementwise import move
from tinyres.ops.softmax import softmax_dx

# -- constants that rows close over ---------------------------------------------------------------------------------
MASK = np.array([[True, False, True], [False, False, True]])
REPEATED = np.array([2, 0, 2, 2])
EXPONENTS = np.array([2, 3])
ROWS_AT, COLS_AT = np.array([[0, 1], [1, 1]]), np.array([[2, 0], [0, 0]])
KEYS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "an integer": (1, (3, 4)), "from the end": (-1, (3, 4)), "to a number": ((1, 2), (3, 4)),
    "slices": ((slice(0, 2), slice(None, None, 2)), (3, 4)),
    "a negative step": ((slice(None, None, -1),), (3, 4)), "None and ...": ((..., None, slice(1, 3)), (3, 4)),
    "nothing": ((slice(2, 2),), (3, 4)),
    "a repeated index": (REPEATED, (3, 2)), "a list": ([0, 0, 1], (3, 2)),
    "pairs, repeated": ((ROWS_AT, COLS_AT), (2, 3)), "a mask": (MASK, (2, 3)),
    "a mask of rows": ((np.array([True, False, True]), slice(1, None)), (3, 3)),
    "arrays around a slice": ((REPEATED, slice(None), np.array([0, 1, 0, 0])), (3, 2, 2)),
}  # fmt: skip


def elementwise_rows() -> None:
    shape = {"empty": ((0, 3),)}
    pairs: Sequence[tuple[str, tuple[int, ...], tuple[int, ...]]] = (
        ("same shapes", (2, 3), (2, 3)), ("broadcast", (3, 1, 2), (2, 1)), ("with a number", (), (2, 3)),
        ("size 1", (1, 1), (2, 1)),
    )  # fmt: skip
    for case, a, b in pairs:
        wide = {"case": case, "analytic": True, "empty": ((0, 3), (3,))}
        row("add", lambda a, b: a + b, each(lambda a, b: a + b), normal(*a), normal(*b), **wide)
        row("sub", lambda a, b: a - b, each(lambda a, b: a - b), normal(*a), normal(*b), **wide)
        row("mul", lambda a, b: a * b, each(lambda a, b: a * b), normal(*a), normal(*b), **wide)
        row("div", lambda a, b: a / b, each(lambda a, b: a / b), normal(*a), away(*b), **wide)
        row("pow", lambda a, b: a**b, each(lambda a, b: math.exp(b * math.log(a))), positive(*a), normal(*b), **wide)
    row("add", lambda x: 1.5 + x, each(lambda x: x + 1.5), normal(3), case="a Python number")
    row("sub", lambda x: 2 - x, each(lambda x: 2 - x), normal(3), case="from a Python number")
    row("mul", lambda x: x * 3, each(lambda x: x + x + x), normal(3), case="a Python number")
    row("div", lambda x: 2 / x, each(lambda x: 2 / x), away(3), case="a Python number by it")
    row("mul", lambda x: x * x, each(lambda x: x**2), normal(3), case="by itself", analytic=True)
    row("neg", lambda x: -x, each(lambda x: -x), normal(2, 3), analytic=True, **shape)
    row("identity", tr.identity, each(lambda x: x), normal(2, 3), **shape)
    row("astype", lambda x: tr.astype(x, x.dtype), each(lambda x: x), normal(2, 3), **shape)
    row("move", lambda x: move(move(x, device="cuda"), device="cpu"), each(lambda x: x), normal(2, 3),
        case="there and back",
        needs="cuda")  # fmt: skip
    row("exp", tr.exp, each(math.exp), normal(2, 3), analytic=True, **shape)
    row("log", tr.log, each(math.log), positive(2, 3), analytic=True, **shape)
    row("log1p", tr.log1p, each(math.log1p), positive(2, 3), analytic=True, **shape)
    row("sqrt", tr.sqrt, each(math.sqrt), positive(2, 3), analytic=True, **shape)
    row("erf", tr.erf, each(math.erf), normal(2, 3), analytic=True, **shape)
    row("sign", tr.sign, each(lambda x: math.copysign(1, x)), away(2, 3), allow_zero=True, **shape)
    row("abs", tr.abs, each(math.fabs), away(2, 3), **shape)
    for p in (2, 3, -1, 1, 0.5, -1.5):
        row("power", lambda x, p=p: x**p, each(lambda x, p=p: math.exp(p * math.log(x))), positive(2, 3),
            case=f"to the {p}")  # fmt: skip
    row("power", lambda x: x**0, each(lambda x: 1.0), normal(3), case="to the 0", allow_zero=True)
    row("power", lambda x: x**3, each(lambda x: x * x * x), away(3), case="of negative numbers", analytic=True,
        empty=((0,),))  # fmt: skip
    row("pow", lambda x: 2.0**x, each(lambda x: math.exp(x * math.log(2))), normal(3), case="of a Python number")
    row("pow", lambda x: tr.pow(x, EXPONENTS),
        lambda x: np.stack([x[:, 0] * x[:, 0], x[:, 1] * x[:, 1] * x[:, 1]], 1),
        away(3, 2), case="to a constant array", float32=False)  # fmt: skip
    row("where", lambda a, b: tr.where(MASK, a, b), lambda a, b: MASK * a + (1 - MASK) * b, normal(2, 3), normal(2, 3))
    row("where", lambda a, b: tr.where(MASK, a, b), lambda a, b: MASK * a + (1 - MASK) * b, normal(3), normal(2, 1),
        case="broadcast")  # fmt: skip
    row("where", lambda a: tr.where(a > 0, a, 0.5), each(lambda a: a if a > 0 else 0.5), away(2, 3), case="a number",
        **shape)  # fmt: skip
    for name, function, pick in (("maximum", tr.maximum, largest), ("minimum", tr.minimum, smallest)):
        row(name, function, each(lambda a, b, pick=pick: pick([a, b])), normal(2, 3), normal(2, 3),
            empty=((0, 3), (3,)))  # fmt: skip
        row(name, function, each(lambda a, b, pick=pick: pick([a, b])), normal(3, 1, 2), normal(3, 1), case="broadcast")
        row(name, lambda a, function=function: function(a, 0.1), each(lambda a, pick=pick: pick([a, 0.1])),
            away(4, from_=0.1), case="a number")  # fmt: skip
    row("clip", lambda x: tr.clip(x, -0.5, 0.7), each(lambda x: sorted([-0.5, x, 0.7])[1]),
        lambda rng: np.array([[-2.0, -0.6, -0.4], [0.3, 0.6, 0.8]]) + 0.05 * rng.random((2, 3)), **shape)  # fmt: skip
    row("clip", lambda x: x.clip(min=0.3), each(lambda x: largest([0.3, x])), away(4, from_=0.3),
        case="only from below")  # fmt: skip
    row("clip", lambda x: tr.clip(x, max=0.3), each(lambda x: smallest([0.3, x])), away(4, from_=0.3),
        case="only from above")  # fmt: skip
    comparisons = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b,
                   "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b}  # fmt: skip
    for name, compare in comparisons.items():
        few = lambda rng: rng.integers(0, 3, (4, 3)).astype(np.float64)
        row(name, compare, each_bool(compare), few, lambda rng: rng.integers(0, 3, 3).astype(np.float64),
            differentiable=False, empty=((0, 3), (3,)))  # fmt: skip


def activation_rows() -> None:
    shape = {"empty": ((0, 3),)}
    row("relu", tr.relu, each(lambda x: x if x > 0 else 0.0), away(2, 3), **shape)
    signs = np.array([1.5, -0.5, 2.0, -1.0])
    row("relu_dx", lambda dy: relu_dx(dy, signs.astype(dy.dtype), slope=0.25),
        lambda dy: np.where(signs > 0, dy, 0.25 * dy), normal(4))  # fmt: skip
    row("leaky_relu", tr.leaky_relu, each(lambda x: x if x > 0 else 0.01 * x), away(2, 3), **shape)
    row("leaky_relu", lambda x: tr.leaky_relu(x, 0.3), each(lambda x: x if x > 0 else 0.3 * x), away(4),
        case="slope 0.3")  # fmt: skip
    row("elu", tr.elu, each(lambda x: x if x > 0 else math.exp(x) - 1), away(2, 3), **shape)
    row("elu", lambda x: tr.elu(x, 0.4), each(lambda x: x if x > 0 else 0.4 * math.expm1(x)), away(4), case="alpha 0.4")
    row("tanh", tr.tanh, each(math.tanh), normal(2, 3), analytic=True, **shape)
    row("sigmoid", tr.sigmoid, scipy.special.expit, normal(2, 3), **shape)
    row("softplus", tr.softplus, each(lambda x: math.log1p(math.exp(x))), normal(2, 3), **shape)
    row("softplus", lambda x: tr.softplus(x, beta=2.5), each(lambda x: math.log1p(math.exp(2.5 * x)) / 2.5), normal(4),
        case="beta 2.5")  # fmt: skip
    row("", tr.logsigmoid, scipy.special.log_expit, normal(2, 3), case="logsigmoid", **shape)
    for name, slope in (
        ("tanh", lambda y: 1 - y * y),
        ("sigmoid", lambda y: y - y * y),
        ("softplus", scipy.special.expit),
    ):
        row("smooth_dx", lambda dy, x, name=name: smooth_dx(dy, x, function=name),
            lambda dy, x, slope=slope: dy * slope(x), normal(2, 3), normal(2, 3), case=name)  # fmt: skip
    row("silu", tr.silu, each(lambda x: x / (1 + math.exp(-x))), normal(2, 3), **shape)
    row("gelu", tr.gelu, lambda x: x * scipy.special.ndtr(x), normal(2, 3), analytic=True, **shape)
    row("gelu", lambda x: tr.gelu(x, "tanh"),
        each(lambda x: x / (1 + math.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        normal(2, 3), case="tanh", analytic=True)  # fmt: skip


def shape_rows() -> None:
    row("reshape", lambda x: tr.reshape(x, 3, -1), gathered((3, 2), lambda i, j: divmod(2 * i + j, 3)), normal(2, 3))
    row("reshape", lambda x: tr.reshape(x, (1, 6, 1)), gathered((1, 6, 1), lambda _, k, __: divmod(k, 3)), normal(2, 3),
        case="size-1 axes")  # fmt: skip
    row("reshape", lambda x: x.reshape(3, 0), lambda x: np.zeros((3, 0)), normal(0, 2), case="nothing", allow_zero=True)
    row("", lambda x: tr.flatten(x, 1), gathered((2, 4), lambda n, k: (n, k // 2, k % 2)), normal(2, 2, 2),
        case="flatten",
        empty=((0, 2, 2),))  # fmt: skip
    row("", lambda x: tr.flatten(x, 0, -2), gathered((4, 2), lambda k, n: (k // 2, k % 2, n)), normal(2, 2, 2),
        case="flatten to -2")  # fmt: skip
    row("", lambda x: tr.squeeze(x, -2), gathered((1, 3), lambda i, j: (i, 0, j)), normal(1, 1, 3), case="squeeze one")
    row("", tr.squeeze, gathered((3,), lambda j: (0, 0, j)), normal(1, 1, 3), case="squeeze all")
    row("", lambda x: tr.unsqueeze(x, -1), gathered((2, 3, 1), lambda i, j, _: (i, j)), normal(2, 3), case="unsqueeze")
    row("permute", lambda x: tr.permute(x, 2, 0, -2), gathered((4, 2, 3), lambda a, b, c: (b, c, a)), normal(2, 3, 4),
        empty=((0, 3, 4),))  # fmt: skip
    row("permute", tr.transpose, gathered((3, 2), lambda i, j: (j, i)), normal(2, 3), case="transpose all")
    row("permute", lambda x: tr.transpose(x, 0, -1), gathered((4, 3, 2), lambda a, b, c: (c, b, a)), normal(2, 3, 4),
        case="transpose two")  # fmt: skip
    row("permute", lambda x: x.T, gathered((3, 2), lambda i, j: (j, i)), normal(2, 3), case=".T")
    row("matrix_transpose", tr.matrix_transpose, gathered((2, 4, 3), lambda a, b, c: (a, c, b)), normal(2, 3, 4),
        empty=((2, 0, 4),))  # fmt: skip
    row("expand", lambda x: tr.expand(x, (2, 2, -1)), gathered((2, 2, 3), lambda _, __, k: (0, k)), normal(1, 3))
    row("expand", lambda x: tr.expand(x, 2, 3), gathered((2, 3), lambda i, j: ()), normal(), case="a number")
    row("expand", lambda x: tr.expand(x, 0, 3), lambda x: np.zeros((0, 3)), normal(1, 3), case="to nothing",
        allow_zero=True)  # fmt: skip
    row("flip", lambda x: tr.flip(x, -1), gathered((2, 3), lambda i, j: (i, 2 - j)), normal(2, 3), empty=((0, 3),))
    row("flip", tr.flip, gathered((2, 3), lambda i, j: (1 - i, 2 - j)), normal(2, 3), case="all axes")
    row("concatenate", lambda a, b, c: tr.concatenate([a, b, c], -1), lambda a, b, c: np.block([[a, b, c]]),
        normal(2, 3), normal(2, 1), normal(2, 2), empty=((0, 2), (0, 1), (0, 0)))  # fmt: skip
    row("concatenate", lambda a: tr.concatenate([a, a * 2, a]), lambda a: np.block([[a], [2 * a], [a]]), normal(2, 3),
        case="one tensor twice")  # fmt: skip
    row("", lambda a, b: tr.stack([a, b], -1), lambda a, b: np.array([a, b]).transpose(1, 2, 0), normal(2, 3),
        normal(2, 3),
        case="stack", empty=((0, 3), (0, 3)))  # fmt: skip
    row("", lambda x: tr.split(x, 2, -1), lambda x: (x[:, 0:2], x[:, 2:4], x[:, 4:5]), normal(2, 5), case="split")
    row("", lambda x: tr.split(x, [1, 0, 4], 1), lambda x: (x[:, :1], x[:, 1:1], x[:, 1:]), normal(2, 5),
        case="split sizes",
        empty=((0, 5),))  # fmt: skip
    row("pad", lambda x: tr.pad(x, (1, 2)), placed((2, 6), lambda i, j: (i, j + 1)), normal(2, 3))
    row("pad", lambda x: tr.pad(x, (1, 0, 2, 1), value=0.0), placed((2, 5, 4), lambda n, i, j: (n, i + 2, j + 1)),
        normal(2, 2, 3), case="two axes", empty=((0, 2, 3),))  # fmt: skip
    row("pad", lambda x: tr.pad(x, (0, 1), value=7.0), lambda x: np.block([x, np.full((2, 1), 7.0)]), normal(2, 3),
        case="with 7")  # fmt: skip


def indexing_rows() -> None:
    for case, (key, shape) in KEYS.items():
        numbers = np.arange(math.prod(shape)).reshape(shape)[key]  # where each element of the result comes from

        def take(x: np.ndarray, numbers: Any = numbers) -> np.ndarray:
            return np.array([x.ravel()[k] for k in np.ravel(numbers)]).reshape(np.shape(numbers))

        def put(x: np.ndarray, numbers: Any = numbers, shape: tuple[int, ...] = shape) -> np.ndarray:
            out = np.zeros(math.prod(shape))
            for k, value in zip(np.ravel(numbers), x.ravel(), strict=True):
                out[k] += value
            return out.reshape(shape)

        zero = {"allow_zero": case == "nothing"}
        row("getitem", lambda x, key=key: tr.getitem(x, key), take, normal(*shape), case=case, **zero)
        row("scatter_add", lambda x, key=key, shape=shape: tr.added_at(x, key=key, shape=shape), put,
            normal(*np.shape(numbers)), case=case, **zero)  # fmt: skip
    row("getitem", lambda x: x[tr.tensor(REPEATED)], lambda x: np.array([x[k] for k in REPEATED]), normal(3, 2),
        case="a tensor of integers")  # fmt: skip


def product_rows() -> None:
    products = {
        "matrices": ("ij,jk->ik", (2, 3), (3, 4)), "batches": ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
        "a broadcast batch": ("bij,jk->bik", (2, 2, 3), (3, 2)),
        "broadcast both": ("abij,bjk->abik", (2, 1, 2, 3), (2, 3, 1)),
        "vectors": ("j,j->", (3,), (3,)), "matrix, vector": ("ij,j->i", (2, 3), (3,)),
        "vector, matrix": ("j,jk->k", (3,), (3, 2)), "batch, vector": ("bij,j->bi", (2, 2, 3), (3,)),
        "vector, batch": ("j,bjk->bk", (3,), (2, 3, 2)), "a column, a row": ("ij,jk->ik", (3, 1), (1, 2)),
    }  # fmt: skip
    for case, (spec, a, b) in products.items():
        full = "abij,Bbjk->abik" if case == "broadcast both" else spec  # NumPy stretches no letter of size 1 by name
        oracle = (
            (lambda a, b: sum(a[..., [j]] * b[..., [j], :] for j in range(3)))
            if full != spec
            else (lambda a, b, spec=spec: np.einsum(spec, a, b))
        )
        row("matmul", tr.matmul, oracle, normal(*a), normal(*b), case=case, analytic=True)
    row("matmul", lambda a, b: a @ b, np.dot, normal(2, 3), normal(3, 4), case="@ with nothing in it",
        empty=((0, 3), (3, 4)))  # fmt: skip
    row("matmul", lambda a, b: a @ b, np.dot, normal(2, 3), normal(3, 4), case="@ over nothing", empty=((2, 0), (0, 4)))
    row("matmul", lambda a: a @ a.T, lambda a: np.einsum("ij,kj->ik", a, a), normal(2, 3), case="with itself")
    layers = {"rows": (4, 3), "a vector": (3,), "batches of rows": (2, 2, 3), "one row": (1, 3)}
    for case, shape in layers.items():
        row("linear", tr.linear, lambda x, w, b: np.einsum("...j,ij->...i", x, w) + b, normal(*shape), normal(2, 3),
            normal(2), case=case, empty=((0, 3), (2, 3), (2,)) if case == "rows" else None)  # fmt: skip
        row("linear", tr.linear, lambda x, w: np.einsum("...j,ij->...i", x, w), normal(*shape), normal(2, 3),
            case=f"{case}, no bias", empty=((2, 0), (2, 0)) if case == "rows" else None)  # fmt: skip
    sums = {
        "ij,jk->ik": ((2, 3), (3, 4)), "ij,jk": ((2, 3), (3, 4)), "bij,bjk->bik": ((2, 2, 3), (2, 3, 2)),
        "ij->ji": ((2, 3),),
        "ij->": ((2, 3),), "ij->j": ((2, 3),), "ba": ((2, 3),), "ii": ((3, 3),), "ii->i": ((3, 3),),
        "iij->j": ((2, 2, 3),),
        "iji->j": ((2, 3, 2),), "iii->i": ((2, 2, 2),), "i,j->ij": ((2,), (3,)), "i,i": ((3,), (3,)),
        "ij,ij->": ((2, 3), (2, 3)), "ij,ij->ij": ((2, 3), (2, 3)), "ijk,k->": ((2, 2, 3), (3,)),
        "ij,k->ijk": ((2, 3), (2,)),
        "...ij,...jk->...ik": ((2, 1, 2, 3), (2, 3, 2)), "...i->...": ((2, 2, 3),), "i...,i...": ((2, 3), (2, 3)),
        "...,...->...": ((2, 3), (3,)), "ij,jk,kl->il": ((2, 3), (3, 2), (2, 2)), "i,ij,j->": ((2,), (2, 3), (3,)),
        "bi,bj,bk->ijk": ((2, 2), (2, 3), (2, 2)), "ii,ij->j": ((2, 2), (2, 3)), " i j , j -> i ": ((2, 3), (3,)),
        "bhqd,bhkd->bhqk": ((1, 2, 2, 3), (1, 2, 2, 3)), "ab,b->ab": ((2, 3), (3,)), "ij,jk->ki": ((2, 3), (3, 4)),
    }  # fmt: skip
    for spec, shapes in sums.items():
        row("", lambda *xs, spec=spec: tr.einsum(spec, *xs), lambda *xs, spec=spec: np.einsum(spec, *xs),
            *(normal(*shape) for shape in shapes), case=f"einsum {spec}")  # fmt: skip


def reduction_rows() -> None:
    axes: Sequence[tuple[str, dict[str, Any], tuple[int, ...], bool]] = (
        ("all", {}, (0, 1, 2), False), ("axis", {"axis": -2}, (-2,), False),
        ("dim kept", {"dim": 0, "keepdim": True}, (0,), True),
        ("two axes", {"axis": (0, -1)}, (0, -1), False), ("all kept", {"keepdims": True}, (0, 1, 2), True),
        ("size 1", {"axis": 1}, (1,), False),
    )  # fmt: skip
    functions: Sequence[tuple[str, Callable[..., Any], Callable[[list[float]], float], Callable[..., Sample], str]] = (
        ("sum", tr.sum, math.fsum, normal, "sum"),
        ("", tr.mean, lambda v: math.fsum(v) / len(v), normal, "mean"),
        ("", tr.var, variance(1), normal, "var"),
        ("", lambda x, **how: tr.var(x, correction=0, **how), variance(0), normal, "biased var"),
        ("max", tr.amax, largest, distinct, "max"), ("min", tr.amin, smallest, distinct, "min"),
        ("logsumexp", tr.logsumexp, log_sum_exp, normal, "logsumexp"),
    )  # fmt: skip
    for primitive, function, formula, sample, name in functions:
        for case, how, axis, kept in axes:
            if case == "size 1" and "var" in name:
                continue  # of one value there is none, or it is zero
            shape = (2, 1, 3) if case == "size 1" else (2, 3, 2)
            none = (
                {"empty": ((0, 3, 2),)}
                if case == "axis"
                else {"empty": ((2, 3, 0),)}
                if case == "all" and name == "sum"
                else {}
            )
            row(primitive, lambda x, function=function, how=how: function(x, **how), lines(formula, axis, kept),
                sample(*shape), case=case if primitive else f"{name}: {case}", analytic=name in ("sum", "mean"),
                **none)  # fmt: skip
    row("argmax", lambda x: tr.argmax(x, axis=-1), lines(lambda v: v.index(largest(v)), (-1,)), distinct(2, 4),
        differentiable=False)  # fmt: skip
    row("argmax", tr.argmax, lines(lambda v: v.index(largest(v)), (0, 1)), distinct(2, 4), case="all",
        differentiable=False)  # fmt: skip
    row("argmax", lambda x: tr.argmax(x, dim=0, keepdim=True), lines(lambda v: v.index(largest(v)), (0,), True),
        distinct(2, 4),
        case="kept", differentiable=False)  # fmt: skip
    for axis in (-1, 0):
        soft = {"case": f"axis {axis}", "empty": ((0, 3) if axis else (3, 0),)}
        row("softmax", lambda x, axis=axis: tr.softmax(x, axis), lambda x, axis=axis: scipy.special.softmax(x, axis),
            normal(2, 3), **soft)  # fmt: skip
        row("log_softmax", lambda x, axis=axis: tr.log_softmax(x, dim=axis),
            lambda x, axis=axis: scipy.special.log_softmax(x, axis), normal(2, 3), **soft)  # fmt: skip
        row("softmax_dx", lambda dy, y, axis=axis: softmax_dx(dy, y, axis=(axis % 2,), log=False),
            lambda dy, y, axis=axis:
            y * (dy - np.apply_along_axis(math.fsum, axis, dy * y)[(slice(None), None) if axis else None]),
            normal(2, 3), normal(2, 3), case=f"axis {axis}")  # fmt: skip
        row("softmax_dx", lambda dy, y, axis=axis: softmax_dx(dy, y, axis=(axis % 2,), log=True),
            lambda dy, y, axis=axis:
            dy - np.exp(y) * np.apply_along_axis(math.fsum, axis, dy)[(slice(None), None) if axis else None],
            normal(2, 3), normal(2, 3), case=f"logarithm, axis {axis}")  # fmt: skip
        row("cumsum", lambda x, axis=axis: tr.cumsum(x, axis),
            lambda x, axis=axis: np.stack([sum(np.moveaxis(x, axis, 0)[: k + 1]) for k in range(x.shape[axis])], axis),
            normal(2, 3), analytic=True, case=f"axis {axis}")  # fmt: skip


for _fill in (elementwise_rows, activation_rows, attention_rows, shape_rows, indexing_rows, product_rows,
              reduction_rows, image_rows, normalization_rows, loss_rows, loss_option_rows, layer_rows, name_rows,
              linalg_rows):  # fmt: skip
    _fill()

assert len({r.id for r in ROWS}) == len(ROWS), "two rows of one name"
