"""Reshaping, reordering, joining and splitting."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public

INTEGERS = int, np.integer


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a tuple of non-negative integers; None means all. A number has none, though it may be asked for."""
    given = range(ndim) if axis is None else (axis,) if hasattr(axis, "__index__") else tuple(axis)
    given = tuple(operator.index(a) for a in given)
    if not ndim and all(a in (0, -1) for a in given):
        return ()
    for a in given:
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of range for {ndim} dimensions")
    return tuple(a % ndim for a in given)


def sizes_of(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both f(x, 2, 3) and f(x, (2, 3))."""
    return tuple(shape[0]) if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape


def numel(input: Any) -> int:
    """The number of elements."""
    return prod(input.shape)


@primitive
def reshape_(x, *, shape):
    try:
        return x.reshape(shape)
    except ValueError as error:
        if "cannot reshape" not in str(error):
            raise
        raise ValueError(f"{x.size} elements do not fill the shape {tuple(shape)}") from error  # NumPy forgets the -1


reshape_.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@public
def reshape(x: Any, *shape: Any) -> Any:
    """x in another shape of the same size; one entry may be -1."""
    return reshape_(x, shape=sizes_of(shape))


@public
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Join the axes start_dim to end_dim (inclusive) into one."""
    if not x.ndim:
        return reshape(x, 1)
    (first,), (last,) = axes_of(start_dim, x.ndim), axes_of(end_dim, x.ndim)
    if last < first:
        raise ValueError(f"flatten: axis {end_dim} comes before axis {start_dim} in {x.ndim} dimensions")
    joined = 1
    for n in x.shape[first : last + 1]:
        joined *= n
    return reshape(x, (*x.shape[:first], joined, *x.shape[last + 1 :]))


@public
def squeeze(x: Any, dim: int | None = None) -> Any:
    """Remove the axes of size 1 (or only `dim`, if its size is 1)."""
    drop = axes_of(dim, x.ndim)
    return reshape(x, tuple(n for a, n in enumerate(x.shape) if n != 1 or a not in drop))


@public
def unsqueeze(x: Any, dim: int) -> Any:
    """Insert an axis of size 1 at position `dim`."""
    (place,) = axes_of(dim, x.ndim + 1)
    return reshape(x, (*x.shape[:place], 1, *x.shape[place:]))


@primitive
def permute_(x, *, dims):
    return x.transpose(dims)


permute_.vjp(x=lambda g, dims: permute(g, tuple(sorted(range(len(dims)), key=dims.__getitem__))))


@public
def permute(x: Any, *dims: Any) -> Any:
    """Reorder the axes: axis dims[k] becomes axis k."""
    order = axes_of(sizes_of(dims), x.ndim)
    if sorted(order) != list(range(x.ndim)):
        raise ValueError(f"permute: dims {sizes_of(dims)} must name each of the {x.ndim} axes once")
    return permute_(x, dims=order)


@public
def transpose(x: Any, dim0: int | None = None, dim1: int | None = None) -> Any:
    """Swap the axes dim0 and dim1; without them, reverse all axes."""
    order = list(range(x.ndim))
    if (dim0 is None) != (dim1 is None):
        raise ValueError("transpose: needs two axes to swap, or none to reverse them all")
    if dim0 is None or dim1 is None:
        return permute_(x, dims=tuple(order[::-1]))
    for a, b in zip(axes_of(dim0, x.ndim), axes_of(dim1, x.ndim), strict=True):
        order[a], order[b] = b, a
    return permute_(x, dims=tuple(order))


@primitive
def matrix_transpose(x):
    """The last two axes swapped."""
    return x.swapaxes(-1, -2)


matrix_transpose.vjp(x=lambda g: matrix_transpose(g))


@primitive(broadcasts=True)
def expand_(x, *, shape):
    return namespace(x).broadcast_to(x, shape)


expand_.vjp(x=lambda g: g)


@public
def expand(x: Any, *shape: Any) -> Any:
    """x broadcast to `shape`; -1 keeps an axis."""
    sizes = sizes_of(shape)
    extra = len(sizes) - x.ndim
    if extra < 0 or -1 in sizes[:extra]:
        raise ValueError(f"expand: {sizes} must have at least {x.ndim} sizes, and -1 only for axes that exist")
    return expand_(x, shape=tuple(x.shape[a - extra] if n == -1 else n for a, n in enumerate(sizes)))


@primitive
def flip_(x, *, dims):
    return namespace(x).flip(x, dims)


flip_.vjp(x=lambda g, dims: flip(g, dims))


@public
def flip(x: Any, dims: Any = None, *more: Any) -> Any:
    """Reverse the order of elements along `dims`, one or several (default: all axes)."""
    return flip_(x, dims=axes_of((dims, *more) if more else dims, x.ndim))


@primitive
def concatenate_(*xs, axis):
    return namespace(*xs).concatenate(xs, axis)


def _piece(g, index, xs_shapes, axis):
    start = sum(shape[axis] for shape in xs_shapes[:index])
    return g[(slice(None),) * axis + (slice(start, start + xs_shapes[index][axis]),)]


concatenate_.vjp(xs=_piece)


@public
def concatenate(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Any:
    """Join tensors along an existing axis, which may be called `dim` or `axis`."""
    tensors, axis = list(tensors), dim if axis is None else axis
    if not tensors:
        raise ValueError("concatenate: needs at least one tensor")
    # As in PyTorch, a vector with nothing in it goes with everything.
    tensors = [x for x in tensors if tuple(x.shape) != (0,)] or tensors
    (place,) = axes_of(axis, tensors[0].ndim) or (0,)
    return concatenate_(*tensors, axis=place)


@public
def stack(tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Any:
    """Join tensors along a new axis, which may be called `dim` or `axis`."""
    place = dim if axis is None else axis
    return concatenate([unsqueeze(x, place) for x in tensors], place)


@public
def split(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Split along `dim` into pieces of `split_size` (the last may be smaller), or of the given sizes."""
    (axis,) = axes_of(dim, x.ndim)
    total = x.shape[axis]
    if isinstance(split_size, INTEGERS):
        if split_size < 1:
            raise ValueError(f"split: split_size must be positive, got {split_size}")
        sizes = [min(split_size, total - start) for start in range(0, total, split_size)] or [0]
    else:
        sizes = list(split_size)
        if min(sizes, default=0) < 0:
            raise ValueError(f"split: sizes cannot be negative, got {sizes}")
        if sum(sizes) != total:
            raise ValueError(f"split: sizes {sizes} add up to {sum(sizes)}, axis {dim} has {total}")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(a, a + n))] for a, n in zip(starts, sizes, strict=True))
