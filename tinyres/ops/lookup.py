"""Tables of vectors, indexed by symbols."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tinyres.arrays import device_of, namespace
from tinyres.arrays.foreign import foreign_array, is_foreign
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.ops.elementwise import where
from tinyres.ops.indexing import getitem


@public
def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Look up rows of a table: y[..., :] = weight[input[...], :].

    The gradient of a row is the sum over all places where its index occurs, and 0 if there are none.

    Shapes: input (...) of integers in [0, rows), weight (rows, width), y (..., width).

    Args:
        padding_idx: a row that gets no gradient. A negative number counts from the end.

    Raises:
        TypeError: the indices are not integers.
        IndexError: an index is outside the table (negative ones are); on a GPU its vector is NaN instead.
    """
    return rows_of("embedding", weight, input, padding_idx)


def rows_of(op: str, weight: Any, index: Any, padding_idx: int | None) -> Any:
    """`embedding`, with the name that errors begin with."""
    index, rows = _integers(op, index), weight.shape[0]
    if device_of(index) == "cpu":
        low, high = (int(index.min()), int(index.max())) if index.size else (0, -1)
        if low < 0 or high >= rows:
            raise IndexError(f"{op}: indices must be in 0 to {rows - 1}, got {low if low < 0 else high}")
        y = getitem(weight, index)  # (..., width)
    else:  # raising an error would mean waiting for the GPU
        outside = (index < 0) | (index >= rows)
        y = getitem(weight, where(outside, 0, index))  # (..., width)
        y = where(wrap(outside[..., None]), math.nan, y)
    if padding_idx is None or not isinstance(y, Tensor):
        return y
    return where(wrap((index == padding_idx % rows)[..., None]), y.detach(), y)


@public
def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """(...) classes as (..., num_classes) integers: 1 at the class, else 0. -1: as many as the largest class needs.

    Raises:
        TypeError: the classes are not integers.
        ValueError: a class is outside [0, num_classes).
    """
    classes, num_classes = _integers("one_hot", tensor), operator.index(num_classes)
    low, high = (int(classes.min()), int(classes.max())) if classes.size else (0, -1)
    if not classes.size and num_classes < 1:
        raise ValueError("one_hot: without any class num_classes must be given")
    count = high + 1 if num_classes == -1 else num_classes
    if low < 0 or high >= count:
        raise ValueError(f"one_hot: classes must be in 0 to {count - 1}, got {low if low < 0 else high}")
    found = (classes[..., None] == namespace(classes).arange(count)).astype(np.int64)
    return wrap(found) if isinstance(tensor, Tensor) else found


def _integers(op: str, index: Any) -> Any:
    index = foreign_array(index, f"{op}: the indices", values=True) if is_foreign(index) else raw(index)
    index = index if hasattr(index, "dtype") else np.asarray(index)
    if index.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices must be integers, got {index.dtype}; convert with .astype('int64')")
    return index


__all__ = ["embedding", "one_hot", "rows_of"]
