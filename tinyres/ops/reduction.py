"""Reductions. Each takes NumPy's names (`axis`, `keepdims`) or PyTorch's (`dim`, `keepdim`)."""

from __future__ import annotations

import math
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import astype, exp, where
from tinyres.ops.long_sum import drifts, sum_in_parts
from tinyres.ops.shape import axes_of, expand, flip, reshape


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if a in axis else n for a, n in enumerate(shape))


def _spread(g, shape, axis):
    """Broadcast a cotangent of the reduced shape back over the axes that were reduced."""
    return expand(reshape(g, _kept(shape, axis)), shape)


def _named(axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> tuple[Any, bool]:
    if axis is not None and dim is not None:
        raise TypeError("axis and dim are two names of one argument: pass only one")
    return (dim if axis is None else axis), keepdims or keepdim


@primitive
def sum_(x, *, axis, keepdims):
    if drifts(x, axis):
        return sum_in_parts(x, axis, keepdims)
    return x.sum(axis=axis, keepdims=keepdims)


sum_.vjp(x=lambda g, x_shape, axis: _spread(g, x_shape, axis))


@public
def sum(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The sum over `axis` (an integer, several, or None for all)."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    return sum_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public
def mean(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The mean over `axis`."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    axes = axes_of(axis, x.ndim)
    return sum_(x, axis=axes, keepdims=keepdims) / math.prod(x.shape[a] for a in axes)


@public
def var(
    x: Any, axis: Any = None, keepdims: bool = False, *, correction: int = 1, dim: Any = None, keepdim: bool = False
) -> Any:
    """The variance over `axis`: sum (x - mean)^2 / (count - correction); correction=0 is the biased one."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    axes = axes_of(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count <= correction:
        raise ValueError(f"var: {count} values and correction={correction} leave nothing to divide by")
    x = x - mean(x, axes, keepdims=True)
    off = sum_(x, axis=axes, keepdims=keepdims)  # 0, but for the rounding of the mean
    return (sum_(x**2, axis=axes, keepdims=keepdims) - off * off / count) / (count - correction)


@primitive
def max_(x, *, axis, keepdims):
    return x.max(axis=axis, keepdims=keepdims)


@primitive
def min_(x, *, axis, keepdims):
    return x.min(axis=axis, keepdims=keepdims)


def _to_winners(g, x, y, axis):
    kept = _kept(x.shape, axis)
    won = where(x == x, x == reshape(y, kept), True)  # a NaN wins against every number
    return where(won, reshape(g, kept) / astype(sum_(won, axis=axis, keepdims=True), g.dtype), 0.0)


max_.vjp(x=_to_winners)
min_.vjp(x=_to_winners)


@public
def max(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest value over `axis`. Equal largest elements share the gradient, and so do NaNs."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    return max_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public
def min(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest value over `axis`. Equal smallest elements share the gradient, and so do NaNs."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    return min_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@primitive
def argmax_(x, *, axis, keepdims):
    return namespace(x).argmax(x, axis=axis, keepdims=keepdims)


@public
def argmax(
    x: Any, axis: int | None = None, keepdims: bool = False, *, dim: int | None = None, keepdim: bool = False
) -> Any:
    """The index of the first largest value over `axis`, or in the flattened tensor if axis is None. No gradient."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    return argmax_(x, axis=axis, keepdims=keepdims)


@primitive
def logsumexp_(x, *, axis, keepdims):
    xp = namespace(x)
    if x.size:
        top = x.max(axis=axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        y = xp.log(xp.exp(x - top).sum(axis=axis, keepdims=True)) + top
    else:
        y = xp.full(_kept(x.shape, axis), -math.inf, x.dtype)
    return y if keepdims else y.reshape(tuple(n for a, n in enumerate(x.shape) if a not in axis))


logsumexp_.vjp(x=lambda g, x, y, axis: reshape(g, _kept(x.shape, axis)) * exp(x - reshape(y, _kept(x.shape, axis))))


@public
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """log sum e^x over `axis`, without overflow; -inf for an empty sum."""
    axis, keepdims = _named(axis, keepdims, dim, keepdim)
    return logsumexp_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@primitive
def softmax_(x, *, axis):
    if not x.size:
        return x.copy()
    xp = namespace(x)
    y = xp.exp(x - x.max(axis=axis, keepdims=True))
    return y / y.sum(axis=axis, keepdims=True)


softmax_.vjp(x=lambda g, y, axis: y * (g - sum_(g * y, axis=axis, keepdims=True)))


@public
def softmax(x: Any, axis: int | None = None, *, dim: int | None = None, dtype: Any = None) -> Any:
    """e^x / sum e^x along `axis` (default: the last); x is converted to `dtype` first, if there is one."""
    axis, _ = _named(axis, False, dim, False)
    x = x if dtype is None else astype(x, dtype)
    return softmax_(x, axis=axes_of(-1 if axis is None else axis, x.ndim))


@primitive
def log_softmax_(x, *, axis):
    if not x.size:
        return x.copy()
    xp = namespace(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))


log_softmax_.vjp(x=lambda g, y, axis: g - exp(y) * sum_(g, axis=axis, keepdims=True))


@public
def log_softmax(x: Any, axis: int | None = None, *, dim: int | None = None, dtype: Any = None) -> Any:
    """x - log sum e^x along `axis` (default: the last); x is converted to `dtype` first, if there is one."""
    axis, _ = _named(axis, False, dim, False)
    x = x if dtype is None else astype(x, dtype)
    return log_softmax_(x, axis=axes_of(-1 if axis is None else axis, x.ndim))


@primitive
def cumsum_(x, *, axis):
    return x.cumsum(axis=axis)


cumsum_.vjp(x=lambda g, axis: flip(cumsum_(flip(g, axis), axis=axis), axis))


@public
def cumsum(x: Any, axis: int | None = None, *, dim: int | None = None) -> Any:
    """Cumulative sum along `axis` (default: the last)."""
    axis, _ = _named(axis, False, dim, False)
    (place,) = axes_of(-1 if axis is None else axis, x.ndim)
    return cumsum_(x, axis=place)
