"""Reductions. Each takes PyTorch's names (`dim`, `keepdim`) or NumPy's (`axis`, `keepdims`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import empty, kernels_for, namespace
from tinyres.arrays.memory import LEAST
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import astype, exp, floating, sqrt, where
from tinyres.ops.long_sum import drifts, sum_in_parts
from tinyres.ops.shape import axes_of, expand, flip, reshape


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if a in axis else n for a, n in enumerate(shape))


def _spread(g, shape, axis):
    """Broadcast a cotangent of the reduced shape back over the axes that were reduced."""
    return expand(reshape(g, _kept(shape, axis)), shape)


def named(dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> tuple[Any, bool]:
    """The one of two names that was used. As in PyTorch, an empty `dim` means all; an empty `axis` means none."""
    if dim is None:
        return axis, keepdims or keepdim
    if axis is not None:
        raise TypeError("axis and dim are two names of one argument: pass only one")
    return (None if isinstance(dim, (tuple, list)) and not dim else dim), keepdims or keepdim


def one_axis(dim: Any, axis: Any) -> Any:
    """The axis along which a function runs, by either name; the last, if neither is given."""
    found, _ = named(dim, False, axis, False)
    return -1 if found is None else found


def typed(x: Any, dtype: Any) -> Any:
    """x in the dtype asked for, if one is."""
    return x if dtype is None else astype(x, dtype)


def summable(x: Any, dtype: Any) -> Any:
    """x in the dtype in which it is summed: int64 for unsigned integers, where NumPy takes uint64."""
    return typed(x, np.int64 if dtype is None and x.dtype.kind == "u" else dtype)


def _is_tall(x):
    """Whether it is a matrix on the processor whose columns a kernel sums faster than NumPy, and more exactly."""
    large = x.ndim == 2 and x.nbytes >= LEAST and x.dtype.kind == "f"
    return large and isinstance(x, np.ndarray) and x.flags.c_contiguous


@primitive
def sum_(x, *, axis, keepdims):
    if axis == (0,) and _is_tall(x):
        y = kernels_for(x).column_sums(x, empty(x.shape[1:], like=x))
        return y[None] if keepdims else y
    if drifts(x, axis):
        return sum_in_parts(x, axis, keepdims)
    return x.sum(axis=axis, keepdims=keepdims)


sum_.vjp(x=lambda g, x_shape, axis: _spread(g, x_shape, axis))


@public
def sum(
    x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """The sum over `dim` (an integer, several, or None for all)."""
    axis, keepdims = named(dim, keepdim, axis, keepdims)
    x = summable(x, dtype)
    return sum_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public
def mean(
    x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """The mean over `dim`."""
    axis, keepdims = named(dim, keepdim, axis, keepdims)
    axes = axes_of(axis, x.ndim)
    x = x if dtype is None else astype(x, dtype)
    return sum_(x, axis=axes, keepdims=keepdims) / math.prod(x.shape[a] for a in axes)


@public
def var(
    x: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """The variance over `dim`: sum (x - mean)^2 / (count - correction); correction=0 is the biased one.

    As in PyTorch, `unbiased` is an older name, True for correction=1 (the default); var(x, False) is the biased
    variance of all.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("var: unbiased and correction say the same thing: pass only one")
    correction = (1 if unbiased is None else int(unbiased)) if correction is None else correction
    axis, keepdims = named(dim, keepdim, axis, keepdims)
    axes = axes_of(axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    if count <= correction:
        raise ValueError(f"var: {count} values and correction={correction} leave nothing to divide by")
    x = x - mean(x, axis=axes, keepdims=True)
    off = sum_(x, axis=axes, keepdims=keepdims)  # 0, but for the rounding of the mean
    return (sum_(x**2, axis=axes, keepdims=keepdims) - off * off / count) / (count - correction)


@public
def std(
    x: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """The standard deviation over `dim`, the root of `var`. Where it is 0, its gradient is taken as 0."""
    return root(var(x, dim, unbiased, keepdim, correction=correction, axis=axis, keepdims=keepdims))


def root(x: Any) -> Any:
    """The square root whose slope at 0, which is infinite, is taken as 0."""
    zero = x == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, x)))


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


@primitive
def logsumexp_(x, *, axis, keepdims):
    xp = namespace(x)
    if x.size:
        top = x.max(axis=axis, keepdims=True)
        top = xp.where(xp.isfinite(top), top, 0)
        y = xp.log(sum_(xp.exp(x - top), axis=axis, keepdims=True)) + top
    else:
        y = xp.full(_kept(x.shape, axis), -math.inf, x.dtype)
    return y if keepdims else y.reshape(tuple(n for a, n in enumerate(x.shape) if a not in axis))


logsumexp_.vjp(x=lambda g, x, y, axis: reshape(g, _kept(x.shape, axis)) * exp(x - reshape(y, _kept(x.shape, axis))))


@public
def logsumexp(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """log sum e^x over `dim`, without overflow; -inf for an empty sum."""
    axis, keepdims = named(dim, keepdim, axis, keepdims)
    x = floating(x)
    return logsumexp_(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@primitive
def cumsum_(x, *, axis):
    return x.cumsum(axis=axis)


cumsum_.vjp(x=lambda g, axis: flip(cumsum_(flip(g, axis), axis=axis), axis))


@public
def cumsum(x: Any, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Any:
    """Cumulative sum along `dim` (default: the last)."""
    x, places = summable(x, dtype), axes_of(one_axis(dim, axis), x.ndim)
    return cumsum_(x, axis=places[0]) if places else x
