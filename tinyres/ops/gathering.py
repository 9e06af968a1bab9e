"""Elements by index along one axis, and by mask: compositions of indexing and its adjoint."""

from __future__ import annotations

import operator
from math import prod
from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw, wrap
from tinyres.ops.elementwise import floating
from tinyres.ops.elementwise import where as chosen
from tinyres.ops.indexing import added_at, getitem
from tinyres.ops.kinds import fitting
from tinyres.ops.reduction import sum as sum_over
from tinyres.ops.shape import axes_of, expand, reshape


@public
def gather(input: Any, dim: int, index: Any) -> Any:
    """Along `dim`, the elements that `index` names: y[i, j] = x[index[i, j], j] for dim=0. y has the shape of index."""
    if not input.ndim:
        return expand(reshape(input, (1,) * raw(index).ndim), raw(index).shape)
    return reshape(getitem(input, _key("gather", input, dim, index)), raw(index).shape)


@public
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """x with src added at [index[i, j], j] for dim=0, the adjoint of `gather`; places named twice receive twice."""
    if not input.ndim:
        return input + sum_over(src)
    key = _key("scatter_add", input, dim, index)
    return input + added_at(_covered(src, key), key=key, shape=input.shape)


@public
def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """x with src, a tensor or a number, put at [index[i, j], j] for dim=0; see `gather`.

    Of elements for the same place, the last one counts. With reduce="add", all are added to what is there.
    """
    src = value if src is None else src
    if reduce not in (None, "add"):
        raise ValueError(f"scatter: reduce is None or 'add', got {reduce!r}; multiply by what gather finds instead")
    if not input.ndim:
        return reshape(scatter(reshape(input, 1), 0, reshape(index, 1), src, reduce=reduce), ())
    key, xp = _key("scatter", input, dim, index), namespace(raw(input))
    if reduce and not hasattr(src, "shape"):
        src = xp.full(key[0].shape, src, dtype=input.dtype)
    if reduce:
        return scatter_add(input, dim, index, src)
    number = xp.full(input.shape, -1)  # for each place the number of the element that it receives
    number[key] = xp.arange(prod(key[0].shape)).reshape(key[0].shape)
    if not hasattr(src, "shape"):
        src = fitting(src, input)
    elif number.size and key[0].size:
        src = getitem(reshape(_covered(src, key), -1), xp.maximum(number, 0))
    return chosen(number >= 0, src, input) if key[0].size else input


@public
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices along `dim` that a list of indices names."""
    if not input.ndim:
        return reshape(input, ())
    (axis,) = axes_of(dim, input.ndim)
    return getitem(input, (*(slice(None),) * axis, raw(index).reshape(-1)))


@public
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """x with `value` where the mask is true."""
    return chosen(mask, fitting(value, input), input)


@public
def masked_select(input: Any, mask: Any) -> Any:
    """The elements where the mask is true, in a row."""
    mask = raw(mask)
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(expand(input, shape), namespace(mask).broadcast_to(mask, shape))


def _key(op: str, x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """The index of `gather` as NumPy's: an array for each axis, which only counts in all but one."""
    (axis,), index = axes_of(dim, x.ndim), raw(index)
    if index.ndim != x.ndim:
        if index.size:
            raise ValueError(f"{op}: the index needs {x.ndim} axes like the input, got shape {tuple(index.shape)}")
        index = index.reshape((0,) * x.ndim)
    xp, last = namespace(index), x.ndim - 1
    steps = [xp.arange(n).reshape((-1, *(1,) * (last - a))) for a, n in enumerate(index.shape)]
    steps[axis] = index
    return tuple(xp.broadcast_to(step, index.shape) for step in steps)


def _covered(src: Any, key: tuple[Any, ...]) -> Any:
    """The part of src that there is an index for."""
    return getitem(src, tuple(slice(0, n) for n in key[0].shape)) if src.ndim else reshape(src, key[0].shape)


@public
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of the numbers 0, 1, ... occurs in a vector of integers, or the sum of its weights (floats).

    Raises:
        ValueError: input is no vector of integers from 0 on, or minlength is below 0.
    """
    if operator.index(minlength) < 0:
        raise ValueError(f"bincount: minlength must be at least 0, got {minlength}")
    index, xp = raw(input), namespace(raw(input))
    if index.ndim != 1 or index.dtype.kind not in "iub" or (index.size and index.min() < 0):
        raise ValueError(f"bincount: needs a vector of integers from 0 on, got {index.dtype} of shape {index.shape}")
    ones = xp.ones(index.shape, np.int64) if weights is None else floating(weights)
    length = max(int(index.max()) + 1 if index.size else 0, minlength)
    counted = added_at(ones, key=(index.astype(np.int64),), shape=(length,))
    return wrap(counted) if weights is None and input is not index else counted


@public
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of elements other than 0, a row of indices for each; as a tuple, a vector for each axis: x[x.nonzero(
    as_tuple=True)] are these elements."""
    array = raw(input)
    array = array.reshape(1) if as_tuple and not array.ndim else array
    places = namespace(array).argwhere(array)
    found = [places[:, axis] for axis in range(array.ndim)] if as_tuple else [places]
    found = found if array is input else [wrap(a) for a in found]
    return tuple(found) if as_tuple else found[0]


@public
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; of a condition alone, `nonzero(condition, as_tuple=True)`."""
    alone = input is None and other is None
    return nonzero(condition, as_tuple=True) if alone else chosen(condition, input, other)


__all__ = [
    "bincount", "gather", "index_select", "masked_fill", "masked_select", "nonzero", "scatter", "scatter_add", "where",
]  # fmt: skip
