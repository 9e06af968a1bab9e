"""Calls that failed: which argument is to blame, in a sentence that begins with the name of the function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from tinyres.arrays.foreign import is_foreign, name_of
from tinyres.refusals.arguments import accepted, name_axis
from tinyres.refusals.kinds import check_kinds, is_number
from tinyres.refusals.wording import kind_of_error, wording

F = TypeVar("F", bound=Callable[..., Any])

_ARRAY_ATTRIBUTES = ("dtype", "ndim", "reshape", "shape", "size", "strides", "transpose", "astype", "sum")


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


def blame_input(primitive: Any, error: Exception, given: tuple[Any, ...]) -> None:
    """`blame_operand` for an operation, whose inputs are all arrays, numbers or, but for the first, None."""
    what = primitive.name
    blame_operand(what, error, given)
    for i, value in enumerate(given):
        if not hasattr(value, "ndim") and not is_number(value) and (value is not None or not i):
            raise TypeError(
                f"{what}: needs a tensor or an array, got {name_of(value)}; make it one with tr.tensor(...)"
            ) from error
    if kind_of_error(error) is not None:
        raise primitive.explain(error, given) from error


def explain_operands(function: F) -> F:
    """Wrap a function so that an error names the argument that is not taken, no tensor, or of another kind than its
    name says; see `refuse_unknown`, `blame_operand`, `check_kinds` and `explain_call`."""

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
    """Raise a clearer error for a call that failed: of the argument that is to blame or, if none is known, in the name
    of the function and with all its arguments. One that begins with the function's name is clear already."""
    name, said = function.__name__, str(error)
    try:
        blame_operand(name, error, (*args, *named.values()))
        if not said.startswith(f"{name}:"):
            check_kinds(function, args, named)
    except (TypeError, ValueError) as clearer:
        raise clearer from error
    name_axis(function, error)
    kind = kind_of_error(error)
    if kind is not None and not said.startswith((f"{name}:", f"{name}(")):
        try:
            given = signature(function).bind_partial(*args, **named).arguments
        except TypeError:  # Python's own sentence says which argument is missing, or is one too many
            return
        raise kind(f"{name}({', '.join(f'{n}: {wording(v)}' for n, v in given.items())}): {error}") from error


__all__ = ["blame_input", "blame_operand", "explain_call", "explain_operands"]
