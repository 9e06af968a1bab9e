"""Comparisons, bits and tests for NaN and infinity: what has no gradient."""

from __future__ import annotations

import math
from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.operands import array_of
from tinyres.autograd.tensor import raw
from tinyres.ops.elementwise import astype
from tinyres.ops.reduction import named
from tinyres.ops.reduction import sum as sum_over


@primitive
def eq(a, b):
    return a == b


@primitive
def ne(a, b):
    return a != b


@primitive
def lt(a, b):
    return a < b


@primitive
def le(a, b):
    return a <= b


@primitive
def gt(a, b):
    return a > b


@primitive
def ge(a, b):
    return a >= b


# -- bits: of booleans, these are `and`, `or`, `exclusive or` and `not` ----------------------------------------------
@primitive
def bitwise_and(a, b):
    return a & b


@primitive
def bitwise_or(a, b):
    return a | b


@primitive
def bitwise_xor(a, b):
    return a ^ b


@primitive
def bitwise_not(x):
    return ~x


def _checked(x: Any, op: str) -> Any:
    """x; TypeError if it is no array: anything can be compared, so nothing else would tell."""
    return x if hasattr(x, "ndim") else array_of(x, op)


def _nonzero(x: Any, op: str) -> Any:
    return ne(_checked(x, op), 0)


@public
def logical_and(input: Any, other: Any) -> Any:
    """Whether both are different from 0, element by element."""
    return bitwise_and(_nonzero(input, "logical_and"), _nonzero(other, "logical_and"))


@public
def logical_or(input: Any, other: Any) -> Any:
    """Whether one of the two is different from 0, element by element."""
    return bitwise_or(_nonzero(input, "logical_or"), _nonzero(other, "logical_or"))


@public
def logical_xor(input: Any, other: Any) -> Any:
    """Whether exactly one of the two is different from 0, element by element."""
    return bitwise_xor(_nonzero(input, "logical_xor"), _nonzero(other, "logical_xor"))


@public
def logical_not(input: Any) -> Any:
    """Whether an element is 0."""
    return eq(_checked(input, "logical_not"), 0)


# -- of all elements ------------------------------------------------------------------------------------------------
@public
def any(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether an element over `dim` is different from 0."""
    axis, kept = named(dim, keepdim, axis, keepdims)
    return sum_over(_nonzero(input, "any"), axis=axis, keepdims=kept) > 0


@public
def all(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements over `dim` are different from 0."""
    axis, kept = named(dim, keepdim, axis, keepdims)
    return eq(sum_over(eq(_checked(input, "all"), 0), axis=axis, keepdims=kept), 0)


@public
def isnan(input: Any) -> Any:
    """Whether an element is NaN."""
    return ne(_checked(input, "isnan"), input)


@public
def isinf(input: Any) -> Any:
    """Whether an element is infinite."""
    return eq(abs(input), math.inf)


@public
def isfinite(input: Any) -> Any:
    """Whether an element is neither infinite nor NaN."""
    return lt(abs(input), math.inf)


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """|input - other| <= atol + rtol |other|, element by element; infinities are close to themselves."""
    input, other = _values(input), _values(other)
    near = bitwise_and(isfinite(other), le(abs(input - other), atol + rtol * abs(other)))
    near = bitwise_or(near, eq(input, other))
    return bitwise_or(near, bitwise_and(isnan(input), isnan(other))) if equal_nan else near


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close; see `isclose`."""
    return bool(all(isclose(input, other, rtol, atol, equal_nan)))


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    a, b = raw(input), raw(other)
    return a.shape == b.shape and bool(namespace(a, b).array_equal(a, b))


def _values(x: Any) -> Any:
    x = x.detach() if hasattr(x, "detach") else x
    return astype(x, "int64") if getattr(x, "dtype", None) in ("bool", "uint8") else x  # which have no differences


public(isclose)
public(allclose)
public(equal)


__all__ = [
    "all", "allclose", "any", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "equal", "ge", "gt",
    "isclose", "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
    "ne",
]  # fmt: skip
