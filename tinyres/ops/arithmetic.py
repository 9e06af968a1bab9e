"""Rounding, division with remainder, and elementary functions that are composed of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.operators import FUNCTIONS
from tinyres.ops.elementwise import add_, astype, cos, div_, exp, log, sin, sqrt, sub_, zeros_of


@primitive
def rounded(x, *, how):
    """x as a whole number: its "floor", "ceil", "trunc" (towards 0) or "rint" (to the nearest, halves to even)."""
    return getattr(namespace(x), how)(x)


rounded.vjp(x=zeros_of)


@public
def floor(input: Any) -> Any:
    """The largest whole number that is not above x. Its derivative is 0."""
    return rounded(input, how="floor")


@public
def ceil(input: Any) -> Any:
    """The smallest whole number that is not below x. Its derivative is 0."""
    return rounded(input, how="ceil")


@public
def trunc(input: Any) -> Any:
    """x without what follows the point. Its derivative is 0."""
    return rounded(input, how="trunc")


@public
def frac(input: Any) -> Any:
    """What follows the point: x - trunc(x)."""
    return input - trunc(input)


@public
def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest number with so many decimals; halves go to the even one. Its derivative is 0."""
    if not decimals or not np.issubdtype(input.dtype, np.floating):
        return rounded(input, how="rint") if np.issubdtype(input.dtype, np.floating) else input
    scale = 10.0 ** max(decimals, -decimals)
    return rounded(input * scale, how="rint") / scale if decimals > 0 else rounded(input / scale, how="rint") * scale


@primitive(broadcasts=True)
def floor_divide(a, b):
    """floor(a / b). Its derivatives are 0."""
    return a // b


floor_divide.vjp(a=zeros_of, b=zeros_of)


@primitive(broadcasts=True)
def remainder(a, b):
    """a - b floor(a / b), which has the sign of b."""
    return a % b


remainder.vjp(a=lambda g: g, b=lambda g, a, b: -(g * floor_divide(a, b)))


@public
def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha other."""
    return add_(input, other if alpha == 1 else other * alpha)


@public
def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input - alpha other."""
    return sub_(input, other if alpha == 1 else other * alpha)


@public
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """input / other; rounded down with rounding_mode="floor", and towards 0 with "trunc"."""
    if rounding_mode is None:
        return div_(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise ValueError(f"div: rounding_mode is None, 'floor' or 'trunc', got {rounding_mode!r}")
    if rounding_mode == "floor":
        return floor_divide(input, other)
    whole = [not np.issubdtype(v.dtype, np.floating) if hasattr(v, "dtype") else type(v) is int for v in (input, other)]
    y = trunc(div_(input, other))
    return astype(y, np.int64) if whole == [True, True] else y


FUNCTIONS.update({"+": add_, "-": sub_, "/": div_})  # the operators have no options, and no time for them


@public
def tan(input: Any) -> Any:
    """The tangent of an angle in radians."""
    return sin(input) / cos(input)


@public
def square(input: Any) -> Any:
    """x^2."""
    return input**2


@public
def reciprocal(input: Any) -> Any:
    """1 / x."""
    return 1.0 / input


@public
def rsqrt(input: Any) -> Any:
    """1 / sqrt(x)."""
    return 1.0 / sqrt(input)


@public
def log2(input: Any) -> Any:
    """The logarithm to the base 2."""
    return log(input) * 1.4426950408889634  # 1 / log 2


@public
def log10(input: Any) -> Any:
    """The logarithm to the base 10."""
    return log(input) * 0.4342944819032518  # 1 / log 10


@public
def exp2(input: Any) -> Any:
    """2^x."""
    return exp(input * 0.6931471805599453)  # log 2


__all__ = [
    "add",
    "ceil",
    "div",
    "exp2",
    "floor",
    "floor_divide",
    "frac",
    "log2",
    "log10",
    "reciprocal",
    "remainder",
    "round",
    "rsqrt",
    "square",
    "sub",
    "tan",
    "trunc",
]  # fmt: skip
