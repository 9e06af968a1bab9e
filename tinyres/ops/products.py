"""Products of elements, and of vectors and matrices under PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.elementwise import astype
from tinyres.ops.indexing import getitem
from tinyres.ops.linalg import matmul
from tinyres.ops.reduction import named, one_axis, sum_, typed
from tinyres.ops.shape import axes_of, concatenate, reshape
from tinyres.refusals.wording import describe


@public
def prod(
    input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    """The product over `dim` (an integer, several, or None for all). Its derivatives are exact at zeros, too."""
    axis, kept = named(dim, keepdim, axis, keepdims)
    x, axes = _whole(typed(input, dtype)), axes_of(axis, input.ndim)
    for a in axes:
        x = _product(x, a)
    return x if kept else reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


def _whole(x: Any) -> Any:
    """Booleans and small integers as int64, so that a product of them is one of numbers."""
    return x if np.issubdtype(x.dtype, np.floating) else astype(x, np.int64)


def _product(x: Any, axis: int) -> Any:
    """The product along an axis, which stays with size 1. One half is multiplied with the other, as long as it goes."""
    before, n = (slice(None),) * axis, x.shape[axis]
    if not n:  # 1, which is e^0
        return sum_(x, axis=(axis,), keepdims=True) + namespace(raw(x)).ones((), x.dtype)
    while n > 1:
        half = n // 2
        y = getitem(x, (*before, slice(0, half))) * getitem(x, (*before, slice(half, 2 * half)))
        x = concatenate([y, getitem(x, (*before, slice(2 * half, n)))], axis) if n % 2 else y
        n = x.shape[axis]
    return x


@public
def cumprod(input: Any, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Any:
    """The cumulative product along `dim` (default: the last). Its derivatives are exact at zeros, too.

    Each element is multiplied by what is 1, then 2, 4, ... places before it (Hillis & Steele 1986
    [hillis1986data], "Data parallel algorithms").
    """
    x, axes = _whole(typed(input, dtype)), axes_of(one_axis(dim, axis), input.ndim)
    if not axes:
        return x
    before, n, step = (slice(None),) * axes[0], x.shape[axes[0]], 1
    while step < n:
        later = getitem(x, (*before, slice(step, n))) * getitem(x, (*before, slice(0, n - step)))
        x, step = concatenate([getitem(x, (*before, slice(0, step))), later], axes[0]), 2 * step
    return x


def _checked(name: str, a: Any, b: Any, ndims: tuple[int, int]) -> Any:
    """a @ b, for operands of these numbers of axes."""
    if (a.ndim, b.ndim) != ndims:
        raise ValueError(
            f"{name}: needs {ndims[0]} and {ndims[1]} axes, got {describe(a)} and {describe(b)}; matmul takes any"
        )
    return matmul(a, b)


@public
def dot(input: Any, other: Any) -> Any:
    """The inner product of two vectors."""
    return _checked("dot", input, other, (1, 1))


@public
def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    return _checked("mv", input, vec, (2, 1))


@public
def mm(input: Any, mat2: Any) -> Any:
    """A matrix times a matrix."""
    return _checked("mm", input, mat2, (2, 2))


@public
def bmm(input: Any, mat2: Any) -> Any:
    """The products of two batches of matrices, (B, N, M) and (B, M, P)."""
    if input.shape[0] != mat2.shape[0]:
        raise ValueError(f"bmm: the batches differ, got {describe(input)} and {describe(mat2)}")
    return _checked("bmm", input, mat2, (3, 3))


@public
def outer(input: Any, vec2: Any) -> Any:
    """The matrix of all products x[i] z[j] of two vectors."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise ValueError(f"outer: needs two vectors, got {describe(input)} and {describe(vec2)}")
    return reshape(input, (-1, 1)) * vec2


__all__ = [
    "bmm", "cumprod", "dot", "mm", "mv", "outer", "prod",
]  # fmt: skip
