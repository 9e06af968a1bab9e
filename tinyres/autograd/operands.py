"""Operands that are not tensors: numbers, lists, arrays of NumPy and of other libraries, as in `x * 2` or `x[mask]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from operator import index
from typing import Any, TypeVar, cast

import numpy as np

from tinyres.arrays.convert import new_array
from tinyres.arrays.foreign import foreign_array, is_foreign, name_of
from tinyres.autograd.arguments import accepted, name_axis, refuse_unknown
from tinyres.autograd.kinds import check_kinds
from tinyres.autograd.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_ARRAY_ATTRIBUTES = ("dtype", "ndim", "reshape", "shape", "size", "strides", "transpose", "astype", "sum")
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
        return new_array(value)
    if is_foreign(value):
        return foreign_array(value, f"{op}: an operand")
    if isinstance(value, str):
        raise TypeError(f"{op}: needs a tensor or an array, got str; make it one with tr.tensor(...)")
    return value


def array_of(value: Any, op: str) -> Any:
    """`operand` for a function that needs a shape: numbers become arrays, too.

    Raises:
        TypeError: the value is neither a tensor, nor an array, nor a number, nor a list of numbers.
    """
    if isinstance(value, (int, float, list, tuple, np.generic)):
        return new_array(value)
    found = operand(value, op)
    if not hasattr(found, "ndim"):
        raise TypeError(f"{op}: needs a tensor or an array, got {name_of(value)}; make it one with tr.tensor(...)")
    return found


def blame_operand(what: str, error: Exception, given: Iterable[Any]) -> None:
    """Raise a clearer TypeError, if `what` failed with `error` because an argument is neither a tensor nor an array."""
    values = list(given)
    values += [inner for value in values if type(value) in (list, tuple) for inner in value]
    foreign = next((value for value in values if is_foreign(value)), None)
    if foreign is not None:
        raise TypeError(
            f"{what}: got a {name_of(foreign)}; pass tr.tensor(t), which copies it, or tr.from_dlpack(t), which shares "
            "its memory"
        ) from error
    if not isinstance(error, AttributeError) or error.name not in _ARRAY_ATTRIBUTES:
        return
    if any(value is error.obj for value in values):  # an argument lacks .shape, say
        raise TypeError(
            f"{what}: needs a tensor or an array, got {name_of(error.obj)}; make it one with tr.tensor(...)"
        ) from error


def explain_operands(function: F) -> F:
    """Wrap a function so that an error names the argument that is not taken, no tensor, or of another kind than its
    name says; see `refuse_unknown`, `blame_operand` and `check_kinds`."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            kept = accepted(function, kwargs) if isinstance(error, TypeError) else None
            if kept is None:
                explain_call(function, error, args, kwargs)
                raise
        return call(*args, **kept)

    return cast(F, call)


def explain_call(function: Callable[..., Any], error: Exception, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Raise a clearer error for a call that failed, if an argument is to blame for it."""
    try:
        refuse_unknown(function, named)
        blame_operand(function.__name__, error, (*args, *named.values()))
        said = str(error)  # an error of ours says already what is wrong
        if not said.startswith(f"{function.__name__}:") and " must be " not in said and ": needs " not in said:
            check_kinds(function, args, named)
    except (TypeError, ValueError) as clearer:
        raise clearer from error
    name_axis(function, error)


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


__all__ = [
    "array_of", "blame_operand", "explain_call", "explain_operands", "operand", "snapshot", "snapshot_argument",
    "snapshot_key",
]  # fmt: skip
