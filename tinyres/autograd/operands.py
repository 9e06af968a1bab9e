"""What stands beside a tensor in an operation and is none: numbers, lists, arrays of NumPy and of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from tinyres.arrays.foreign import foreign_array, is_foreign, name_of
from tinyres.autograd.tensor import Tensor, as_array

F = TypeVar("F", bound=Callable[..., Any])

_OF_ARRAYS = ("dtype", "ndim", "reshape", "shape", "size", "strides", "transpose", "astype", "sum")
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


def array_of(value: Any, op: str) -> Any:
    """The same for a function that asks for shapes.

    Raises:
        TypeError: it is neither a tensor nor an array nor numbers in lists.
    """
    if isinstance(value, (int, float, list, tuple, np.generic)):
        return as_array(value)
    found = operand(value, op)
    if not hasattr(found, "ndim"):
        raise TypeError(f"{op}: needs a tensor or an array, got {name_of(value)}; make it one with tr.tensor(...)")
    return found


def refuse(what: str, error: Exception, given: Iterable[Any]) -> None:
    """Say so where a function failed because it was given what is neither a tensor nor an array."""
    values = list(given)
    values += [inner for value in values if type(value) in (list, tuple) for inner in value]
    foreign = next((value for value in values if is_foreign(value)), None)
    if foreign is not None:
        raise TypeError(
            f"{what}: got a {name_of(foreign)}; hand over tr.tensor(t), a copy, or tr.from_dlpack(t), which shares its "
            "memory"
        ) from error
    culprit = getattr(error, "obj", refuse)  # of an AttributeError: the object that lacks one
    if getattr(error, "name", None) in _OF_ARRAYS and any(value is culprit for value in values):
        raise TypeError(
            f"{what}: needs a tensor or an array, got {name_of(culprit)}; make it one with tr.tensor(...)"
        ) from error


def explained(function: F) -> F:
    """The function, whose errors say what it was given that is no tensor."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (AttributeError, RuntimeError, TypeError) as error:
            refuse(function.__name__, error, (*args, *kwargs.values()))
            raise

    return cast(F, call)


def kept(value: Any) -> Any:
    """A copy of a caller's array, in its memory layout, for a graph to save; a number as it is."""
    return value.copy("K") if hasattr(value, "strides") else value


def kept_key(key: Any) -> Any:
    """An index that stays as it is now: its arrays and lists are copied, a tensor's array is nobody's to change."""
    if isinstance(key, tuple):
        return tuple(kept_key(k) for k in key)
    if isinstance(key, Tensor):
        return key._data
    if is_foreign(key):
        return foreign_array(key, "getitem: the index").copy()
    return np.array(key) if isinstance(key, list) else kept(key)


def kept_argument(value: Any) -> Any:
    """The argument of a function that runs again later: the same, with arrays copied and containers built anew."""
    if type(value) is dict:
        return {name: kept_argument(v) for name, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(kept_argument(v) for v in value)
    return value if isinstance(value, (Tensor, np.generic)) else kept(value)


__all__ = ["array_of", "explained", "kept", "kept_argument", "kept_key", "operand", "refuse"]
