"""Largest and smallest elements, and sorting.

As in PyTorch, an extreme over one `dim` comes with its index, and its gradient goes to that element alone. Over all, or
by NumPy's name `axis`, it comes alone, and equal ones share the gradient, as those of `amax` and `amin` do.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import maximum, minimum
from tinyres.ops.gathering import gather
from tinyres.ops.reduction import max_, min_, named
from tinyres.ops.shape import axes_of, reshape, squeeze
from tinyres.refusals.kinds import FLAG


class Found(NamedTuple):
    """Elements, and their indices along the axis they were looked for."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """The smallest and the largest element."""

    min: Any
    max: Any


@primitive
def argmax_(x, *, axis, keepdims):
    return namespace(x).argmax(x, axis=axis, keepdims=keepdims)


@primitive
def argmin_(x, *, axis, keepdims):
    return namespace(x).argmin(x, axis=axis, keepdims=keepdims)


@public
def argmax(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Any:
    """The index of the first largest value over `dim`, or in the flattened tensor if dim is None. No gradient."""
    return _place(argmax_, x, dim, keepdim, axis, keepdims)


@public
def argmin(
    x: Any, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Any:
    """The index of the first smallest value over `dim`, or in the flattened tensor if dim is None. No gradient."""
    return _place(argmin_, x, dim, keepdim, axis, keepdims)


def _place(search: Any, x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Any:
    axis, kept = named(dim, keepdim, axis, keepdims)
    return search(x, axis=None if axis is None or not x.ndim else axis, keepdims=kept)


@public
def amax(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest value over `dim`. Equal largest elements share the gradient, and so do NaNs."""
    axis, kept = named(dim, keepdim, axis, keepdims)
    return max_(x, axis=axes_of(axis, x.ndim), keepdims=kept)


@public
def amin(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest value over `dim`. Equal smallest elements share the gradient, and so do NaNs."""
    axis, kept = named(dim, keepdim, axis, keepdims)
    return min_(x, axis=axes_of(axis, x.ndim), keepdims=kept)


@public
def aminmax(input: Any, *, dim: Any = None, keepdim: bool = False) -> Extremes:
    """`amin` and `amax` of the same elements, as a pair."""
    return Extremes(amin(input, dim, keepdim), amax(input, dim, keepdim))


@public
def max(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest value of all, or (values, indices) over `dim`; of two tensors, their `maximum`.

    With NumPy's `axis`, the values alone, as by `amax`.
    """
    if dim is None:
        return max_(x, axis=axes_of(axis, x.ndim), keepdims=keepdim or keepdims)
    return maximum(x, dim) if hasattr(dim, "ndim") else _found(argmax, x, dim, keepdim, axis)


@public
def min(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest value of all, or (values, indices) over `dim`; of two tensors, their `minimum`.

    With NumPy's `axis`, the values alone, as by `amin`.
    """
    if dim is None:
        return min_(x, axis=axes_of(axis, x.ndim), keepdims=keepdim or keepdims)
    return minimum(x, dim) if hasattr(dim, "ndim") else _found(argmin, x, dim, keepdim, axis)


def _found(search: Any, x: Any, dim: Any, keepdim: bool, axis: Any) -> Found:
    named(dim, keepdim, axis, False)
    place = search(x, dim, True)
    values = gather(x, dim, place)
    return Found(values, place) if keepdim else Found(squeeze(values, dim), squeeze(place, dim))


@primitive
def argsort_(x, *, axis, descending):
    xp = namespace(x)
    if not descending:
        return xp.argsort(x, axis=axis, kind="stable")
    # Equal elements keep their order: sort backwards what comes from the back.
    order = xp.flip(xp.argsort(xp.flip(x, axis), axis=axis, kind="stable"), axis)
    return x.shape[axis] - 1 - order


@public
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The indices that sort along `dim`. Equal elements always keep their order, as `stable` asks. No gradient."""
    if not input.ndim:
        axes_of(dim, 0)
        return reshape(argsort_(reshape(input, 1), axis=0, descending=False), ())
    (axis,) = axes_of(dim, input.ndim)
    if descending is not False:
        FLAG.check("argsort", "descending", descending)
    return argsort_(input, axis=axis, descending=descending)


@public
def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Found:
    """(values, indices), sorted along `dim`; NaN counts as larger than all. Equal elements keep their order."""
    order = argsort(input, dim, descending)
    return Found(gather(input, dim, order), order)


@public
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Found:
    """(values, indices) of the k largest (or smallest) elements along `dim`. They are sorted in any case."""
    size = input.shape[axes_of(dim, input.ndim)[0]] if input.ndim else 1
    if not 0 <= k <= size:
        raise ValueError(f"topk: k={k} must be in [0, {size}], since axis {dim} has {size} elements")
    if not input.ndim:
        return Found(input, argsort(input))
    (axis,) = axes_of(dim, input.ndim)
    if largest is not True:
        FLAG.check("topk", "largest", largest)
    order = argsort(input, axis, largest)[(slice(None),) * axis + (slice(0, k),)]
    return Found(gather(input, axis, order), order)


__all__ = [
    "amax", "amin", "aminmax", "argmax", "argmin", "argsort", "max", "min", "sort", "topk",
]  # fmt: skip
