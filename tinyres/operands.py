"""What stands beside a tensor in an operation and is none: numbers, lists, arrays of NumPy and of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.foreign import foreign_array, is_foreign
from tinyres.tensor import Tensor, as_array

_AS_THEY_ARE = (np.ndarray, int, float, type(None))


def operand(value: Any, op: str) -> Any:
    """The array or the number that an operation computes with: what `tr.tensor` would take, of the same dtype.

    A NumPy scalar promotes no more than a Python one.

    Raises:
        TypeError: another library's tensor that requires a gradient, which would be lost, or that NumPy cannot hold.
    """
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, (list, tuple)):
        return as_array(value)
    return foreign_array(value, f"{op}: an operand") if is_foreign(value) else value


def kept(value: Any) -> Any:
    """A copy of a caller's array, in its memory layout, for a graph to save; a number as it is."""
    return value.copy("K") if hasattr(value, "strides") else value


def kept_key(key: Any) -> Any:
    """An index that stays as it is now: its arrays and lists are copied, a tensor's array is nobody's to change."""
    if isinstance(key, tuple):
        return tuple(kept_key(k) for k in key)
    if isinstance(key, Tensor):
        return key._data
    return np.array(key) if isinstance(key, list) else kept(key)


def kept_argument(value: Any) -> Any:
    """The argument of a function that runs again later: the same, with arrays copied and containers built anew."""
    if type(value) is dict:
        return {name: kept_argument(v) for name, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(kept_argument(v) for v in value)
    return value if isinstance(value, (Tensor, np.generic)) else kept(value)


__all__ = ["kept", "kept_argument", "kept_key", "operand"]
