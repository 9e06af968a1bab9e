"""Operands that are not tensors: numbers, lists, arrays of NumPy and of other libraries, as in `x * 2` or `x[mask]`."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from tinyres.arrays.convert import new_array
from tinyres.arrays.foreign import foreign_array, is_foreign, name_of
from tinyres.autograd.tensor import Tensor

_UNCHANGED = (np.ndarray, int, float, type(None))


def operand(value: Any, op: str) -> Any:
    """The array or the number that an operation computes with. Lists become arrays, as in `tr.tensor`.

    A NumPy scalar becomes a Python number, so that `x * np.float64(2)` stays float32, as `x * 2.0` does.

    Raises:
        TypeError: another library's tensor that requires a gradient, which would be lost, or has a dtype NumPy lacks.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, _UNCHANGED):
        return value
    if isinstance(value, (list, tuple)):
        return new_array(value, what=f"{op}:")
    if is_foreign(value):
        return foreign_array(value, f"{op}: an operand")
    if not hasattr(value, "ndim"):
        raise TypeError(f"{op}: needs a tensor or an array, got {name_of(value)}; make it one with tr.tensor(...)")
    return value


def array_of(value: Any, op: str) -> Any:
    """`operand` for a function that needs a shape: numbers become arrays, too.

    Raises:
        TypeError: the value is neither a tensor, nor an array, nor a number, nor a list of numbers.
    """
    if isinstance(value, (int, float, list, tuple, np.generic)):
        return new_array(value, what=f"{op}:")
    found = operand(value, op)
    if not hasattr(found, "ndim"):
        raise TypeError(f"{op}: needs a tensor or an array, got {name_of(value)}; make it one with tr.tensor(...)")
    return found


def snapshot(value: Any) -> Any:
    """A copy of an array that belongs to the caller, in its memory layout; a number as it is.

    A graph saves these, since the caller may write into the array before the backward pass.
    """
    return value.copy("K") if hasattr(value, "strides") else value


def snapshot_key(key: Any) -> Any:
    """`snapshot` for an index: its arrays and lists are copied; a tensor in it cannot change, and is not."""
    if isinstance(key, tuple):
        return tuple(snapshot_key(k) for k in key)
    if isinstance(key, Tensor):
        return key._data
    if isinstance(key, slice):
        parts = key.start, key.stop, key.step
        return slice(*(index(p) if isinstance(p, Tensor) else p for p in parts))
    if is_foreign(key):
        return foreign_array(key, "getitem: the index").copy()
    return np.array(key) if isinstance(key, list) else snapshot(key)


def snapshot_argument(value: Any) -> Any:
    """`snapshot` for an argument of a function that runs again later: also inside of lists, tuples and dicts."""
    if type(value) is dict:
        return {name: snapshot_argument(v) for name, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(snapshot_argument(v) for v in value)
    return value if isinstance(value, (Tensor, np.generic)) else snapshot(value)


__all__ = ["array_of", "operand", "snapshot", "snapshot_argument", "snapshot_key"]
