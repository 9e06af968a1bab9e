"""Arrays in the order in which they lie in memory, which is not always that of their axes: images are kept with their
channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays import memory


def empty(shape: tuple[int, ...], like: Any) -> Any:
    """An array to be written into, of the dtype and on the device of `like`; large ones in recycled memory."""
    xp = namespace(like)
    return memory.empty(shape, like.dtype) if xp is np else xp.empty(shape, like.dtype)


def empty_in_order(shape: tuple[int, ...], like: Any) -> Any:
    """The same with the axes in the order in which those of `like` lie in memory, if it has as many."""
    if like.ndim != len(shape):
        return empty(shape, like)
    order = memory_order(like)
    return empty(tuple(shape[axis] for axis in order), like).transpose(inverse(order))


def memory_order(array: Any) -> list[int]:
    """Axes from the one with the largest stride to the one with the smallest."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


def inverse(order: Sequence[int]) -> list[int]:
    """The permutation that undoes `order`."""
    return sorted(range(len(order)), key=order.__getitem__)


def ravel_alike(*arrays: Any) -> list[Any] | None:
    """Large arrays as lines in the order in which they lie in memory, if that is the same and without gaps; else None.

    For small ones None, too: a call of the array library costs less than a kernel's. And for integers, which promote.
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
    """What was written in the order of `ravel_alike(array)`, with the shape and the strides of `array`."""
    order = memory_order(array)
    return line.reshape([array.shape[axis] for axis in order]).transpose(inverse(order))


def ravel_k(array: Any) -> Any:
    """All of its entries as one line, in the order in which they lie in memory; a view where there are no gaps.

    That is `array.ravel(order="K")`, which CuPy does not have.
    """
    return (array.transpose(memory_order(array)) if array.ndim > 1 else array).reshape(-1)


__all__ = ["empty", "empty_in_order", "inverse", "memory_order", "ravel_alike", "ravel_k", "unravel_like"]
