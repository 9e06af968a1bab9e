"""Memory layout: an array's axes in the order of their strides, and flat views in that order.

Images have the shape (N, C, H, W) but lie in memory as (N, H, W, C), channels last: `memory_order` is (0, 2, 3, 1).
Code that works element by element can ignore the shape and run along memory, if all its arrays have the same layout.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays import memory


def empty(shape: tuple[int, ...], like: Any) -> Any:
    """An uninitialised array of the dtype and on the device of `like`; a large one in recycled memory."""
    xp = namespace(like)
    return memory.empty(shape, like.dtype) if xp is np else xp.empty(shape, like.dtype)


def empty_in_order(shape: tuple[int, ...], like: Any) -> Any:
    """`empty` in the memory order of `like`, if that has as many axes (else row-major)."""
    if like.ndim != len(shape):
        return empty(shape, like)
    order = memory_order(like)
    return empty(tuple(shape[axis] for axis in order), like).transpose(inverse_permutation(order))


def memory_order(array: Any) -> tuple[int, ...]:
    """The axes from the largest stride to the smallest: (0, 1, 2) for a row-major array."""
    return _descending(array.strides)


@lru_cache(1024)  # each kernel of a training step asks, and arrays of few kinds of layout come by
def _descending(strides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(strides)), key=lambda axis: -strides[axis]))


@lru_cache(1024)
def inverse_permutation(order: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes `order`: `a.transpose(order).transpose(inverse_permutation(order))` is `a`."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))


def ravel_alike(*arrays: Any) -> list[Any] | None:
    """1-D views of large arrays that share shape, dtype and a contiguous memory layout, so that their entries match.

        lines = ravel_alike(x, y)              # x[n, c, h, w] and y[n, c, h, w] are at the same place of both lines

    None where they do not; also for small arrays, on which NumPy itself is quicker than the call of a kernel, and for
    integers, whose results are promoted.
    """
    first = arrays[0]
    kind = type(first)
    if kind is not np.ndarray and kind.__module__.partition(".")[0] != "cupy":
        return None
    if first.nbytes < memory.LEAST or first.dtype.kind != "f":
        return None
    order = memory_order(first)
    lines = []
    for a in arrays:
        if type(a) is not kind or a.dtype != first.dtype or a.shape != first.shape:
            return None
        a = a.transpose(order)
        if not a.flags.c_contiguous:
            return None
        lines.append(a.reshape(-1))
    return lines


def unravel_like(line: Any, array: Any) -> Any:
    """The inverse of `ravel_alike`: a 1-D result as a view with the shape and memory order of `array`."""
    order = memory_order(array)
    return line.reshape([array.shape[axis] for axis in order]).transpose(inverse_permutation(order))


def ravel_k(array: Any) -> Any:
    """`array.ravel(order="K")`, which CuPy lacks: one axis, in memory order; a view where the array is contiguous."""
    return (array.transpose(memory_order(array)) if array.ndim > 1 else array).reshape(-1)


__all__ = ["empty", "empty_in_order", "inverse_permutation", "memory_order", "ravel_alike", "ravel_k", "unravel_like"]
