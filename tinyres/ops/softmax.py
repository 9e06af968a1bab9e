"""Softmax and its logarithm: where rows are long in memory, by kernels that keep a row in the cache."""

from __future__ import annotations

from typing import Any

from tinyres_kernels.settings import Softmax

from tinyres.arrays import empty, kernels_for, memory_order, namespace, ravel_alike, unravel_like
from tinyres.arrays.memory import LEAST
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import astype, exp
from tinyres.ops.kinds import fractions
from tinyres.ops.reduction import one_axis, sum_
from tinyres.ops.shape import axes_of

MANY = LEAST // 8  # numbers, of float64 or float32, that a kernel may be worth


def _rows(axis: tuple[int, ...], *arrays: Any) -> list[Any] | None:
    """Large arrays as matrices whose rows lie along the axis; None where memory has another order."""
    if len(axis) != 1 or memory_order(arrays[0])[-1] != axis[0]:
        return None
    lines = ravel_alike(*arrays)
    return None if lines is None else [line.reshape(-1, arrays[0].shape[axis[0]]) for line in lines]


def _softmax(x: Any, axis: tuple[int, ...], log: bool) -> Any:
    x = fractions(x)
    if not x.size:
        return x.copy()
    rows = _rows(axis, x) if x.nbytes >= LEAST else None
    if rows is not None:
        made = kernels_for(x).softmax(*rows, empty(rows[0].shape, like=x), Softmax(log))
        return unravel_like(made.reshape(-1), x)
    xp = namespace(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    y = xp.exp(shifted)
    total = sum_(y, axis=axis, keepdims=True)  # which also rounds with care along an axis that is not contiguous
    return shifted - xp.log(total) if log else y / total


@primitive
def softmax_(x, *, axis):
    return _softmax(x, axis, False)


@primitive
def log_softmax_(x, *, axis):
    return _softmax(x, axis, True)


@primitive
def softmax_dx(dy, p, *, axis, log):
    """The vector-Jacobian product of softmax, or log_softmax, whose output is p."""
    rows = _rows(axis, dy, p)
    if rows is not None:
        made = kernels_for(dy).softmax_dx(*rows, empty(rows[0].shape, like=dy), Softmax(log))
        return unravel_like(made.reshape(-1), dy)
    return _composed_dx(dy, p, axis, log)


def _composed_dx(dy, p, axis, log):
    if log:
        return dy - exp(p) * sum_(dy, axis=axis, keepdims=True)
    return p * (dy - sum_(dy * p, axis=axis, keepdims=True))


def _dx(g, p, axis, log):
    """On a few numbers, NumPy is done before another operation is called."""
    if p.size >= MANY:
        return softmax_dx(g, p, axis=axis, log=log)
    return _composed_dx(g, p, axis, log)


def _dx_of_dy(g, p, axis, log):
    """The derivative of a softmax is a symmetric matrix, that of its logarithm is not."""
    return g - sum_(g * exp(p), axis=axis, keepdims=True) if log else _dx(g, p, axis, log)


def _dx_of_p(g, dy, p, axis, log):
    if log:
        return -g * exp(p) * sum_(dy, axis=axis, keepdims=True)
    return g * (dy - sum_(dy * p, axis=axis, keepdims=True)) - dy * sum_(g * p, axis=axis, keepdims=True)


softmax_.vjp(x=lambda g, y, axis: _dx(g, y, axis, False))
log_softmax_.vjp(x=lambda g, y, axis: _dx(g, y, axis, True))
softmax_dx.vjp(dy=_dx_of_dy, p=_dx_of_p)


@public
def softmax(x: Any, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Any:
    """e^x / sum e^x along `dim` (default: the last)."""
    x = x if dtype is None else astype(x, dtype)
    return softmax_(x, axis=axes_of(one_axis(dim, axis), x.ndim))


@public
def log_softmax(x: Any, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Any:
    """x - log sum e^x along `dim` (default: the last)."""
    x = x if dtype is None else astype(x, dtype)
    return log_softmax_(x, axis=axes_of(one_axis(dim, axis), x.ndim))
