"""How an error says what came: shapes and dtypes instead of numbers, and in which class it is raised again."""

from __future__ import annotations

from typing import Any

FAILED = (ArithmeticError, AttributeError, IndexError, TypeError, ValueError)  # how a function fails on wrong inputs


def describe(value: Any) -> str:
    """Shape and dtype of an array, or the value itself: for error messages."""
    array = hasattr(value, "shape") and hasattr(value, "dtype")
    return f"{tuple(value.shape)} {value.dtype}" if array else repr(value)


def wording(value: Any) -> str:
    """`describe` for any argument: each tensor of a list, and the beginning of what is long."""
    if isinstance(value, (list, tuple)) and any(hasattr(v, "shape") for v in value):
        return f"[{', '.join(map(describe, value[:4]))}{', ...' if len(value) > 4 else ''}]"
    said = describe(value)
    return said if len(said) <= 60 else f"{said[:57]}..."


def kind_of_error(error: Exception) -> type[Exception] | None:
    """The class in which an error of Python or NumPy is raised again, with more words; None for any other's."""
    if not type(error).__module__.startswith(("builtins", "numpy.exceptions", "numpy._core._exceptions")):
        return None
    kinds: dict[type[Exception], type[Exception]] = {AttributeError: TypeError, ArithmeticError: ValueError}
    kinds |= {kind: kind for kind in (FloatingPointError, IndexError, TypeError, ValueError)}
    return next((kinds[kind] for kind in type(error).__mro__ if kind in kinds), None)
