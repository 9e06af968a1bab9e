"""Arithmetic, comparison and the elementary functions, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays import namespace, to_device
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import Tensor

MANY = 4096  # numbers, from which on a choice between them and 0 is made without a branch
_WORDS = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}


@primitive(broadcasts=True)
def add(a, b):
    return a + b


add.vjp(a=lambda g: g, b=lambda g: g)


@primitive(broadcasts=True)
def sub(a, b):
    return a - b


sub.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(broadcasts=True)
def mul(a, b):
    return a * b


mul.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(broadcasts=True)
def div(a, b):
    return a / b


div.vjp(a=lambda g, b: g / b, b=lambda g, b, y: -(g * (y / b)))


@primitive
def neg(x):
    return -x


neg.vjp(x=lambda g: -g)


@primitive
def identity(x):
    """The same array under a node of its own."""
    return x


identity.vjp(x=lambda g: g)


@primitive
def astype_(x, *, dtype):
    return x.astype(dtype, copy=False)


# The engine brings a cotangent back to its input's dtype.
astype_.vjp(x=lambda g: g)


@public
def astype(x: Any, dtype: Any) -> Any:
    """x converted to `dtype`; the gradient is converted back. What is no longer floating has none."""
    y = astype_(x, dtype=dtype)
    return y if not isinstance(y, Tensor) or np.issubdtype(y.dtype, np.floating) else y.detach()


def floating(x: Any) -> Any:
    """x itself, or integers as float64: what is a mean, or a difference to a float, is no integer."""
    return x if np.issubdtype(x.dtype, np.floating) else astype(x, np.float64)


@primitive
def move(x, *, device):
    """x on the other device."""
    return to_device(x, device)


move.vjp(x=lambda g, device: move(g, device="cpu" if device == "cuda" else "cuda"))


@primitive
def exp(x):
    """e^x."""
    return namespace(x).exp(x)


exp.vjp(x=lambda g, y: g * y)


@primitive
def log(x):
    """The natural logarithm."""
    return namespace(x).log(x)


log.vjp(x=lambda g, x: g / x)


@primitive
def log1p(x):
    """log(1 + x), exact where x is too small for 1 + x."""
    return namespace(x).log1p(x)


log1p.vjp(x=lambda g, x: g / (1 + x))


@primitive
def sqrt(x):
    """The square root."""
    return namespace(x).sqrt(x)


sqrt.vjp(x=lambda g, y: g / (2 * y))


def _zeros(g):
    return where(False, g, 0.0)  # not g * 0, which is NaN where g is infinite


@primitive
def power(x, *, p):
    """x^p for a fixed number p."""
    return x * x if p == 2 else x**p


power.vjp(x=lambda g, x, p: _zeros(g) if p == 0 else g if p == 1 else g * (p * x ** (p - 1)))


@primitive(broadcasts=True)
def pow_(x, exponent):
    return namespace(x, exponent).power(x, exponent)


# At x = p = 0 the exponent stays 0, so that d x^p / dx is 0 (and not 0 * 0^-1); a mask over all of p = 0 would lose the
# mixed derivative there, 1 / x. d x^p / dp at x = 0 is 0 (and not 0 * log 0).
pow_.vjp(
    x=lambda g, x, exponent: g * exponent * x ** (exponent - 1 + (x == 0) * (exponent == 0)),
    exponent=lambda g, x, y: where(x == 0, 0.0, g * y * log(where(x == 0, 1.0, x))),
)


@public
def pow(x: Any, exponent: Any) -> Any:
    """x ** exponent, element by element; either may be a tensor."""
    if isinstance(exponent, (int, float)) and not isinstance(exponent, bool):
        return power(x, p=exponent)
    return pow_(x, exponent)


@primitive
def sign(x):
    """-1, 0 or 1; its derivative is 0."""
    return namespace(x).sign(x)


sign.vjp(x=lambda g: _zeros(g))


@primitive
def abs(x):
    """|x|; the derivative at 0 is 0."""
    return namespace(x).abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@primitive(broadcasts=True)
def where(condition, a, b):
    """a where the condition holds, else b."""
    xp = namespace(condition, a, b)
    many = xp is np and type(b) is float and b == 0 and getattr(a, "size", 0) > MANY
    if many and a.dtype in _WORDS and getattr(condition, "shape", ()) == a.shape and condition.dtype.kind == "b":
        word = _WORDS[a.dtype]  # its bits times 1 or 0: a tenth of the time of a choice that no processor can foresee
        return (a.view(word) * condition).view(a.dtype)
    if condition is False and xp is not np:  # how rules write zeros of a shape; CuPy takes arrays only
        condition = xp.zeros((), bool)
    return xp.where(condition, a, b)


where.vjp(
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)


@primitive(broadcasts=True)
def maximum(a, b):
    """The larger of the two; at a tie each gets half of the gradient, beside a NaN both get all."""
    return namespace(a, b).maximum(a, b)


maximum.vjp(
    a=lambda g, a, b: where(a == b, 0.5 * g, where(a < b, 0.0, g)),
    b=lambda g, a, b: where(a == b, 0.5 * g, where(b < a, 0.0, g)),
)


@primitive(broadcasts=True)
def minimum(a, b):
    """The smaller of the two; at a tie each gets half of the gradient, beside a NaN both get all."""
    return namespace(a, b).minimum(a, b)


minimum.vjp(
    a=lambda g, a, b: where(a == b, 0.5 * g, where(a > b, 0.0, g)),
    b=lambda g, a, b: where(a == b, 0.5 * g, where(b > a, 0.0, g)),
)


@primitive
def clip_(x, *, min, max):
    return namespace(x).clip(x, min, max)


clip_.vjp(x=lambda g, x, y: where(x == y, g, 0.0))


@public
def clip(x: Any, min: float | None = None, max: float | None = None) -> Any:
    """x limited to [min, max]; the gradient passes inside and on the bounds, and is 0 outside."""
    if min is None and max is None:
        raise ValueError("clip: needs min, max or both")
    return clip_(x, min=min, max=max)


@primitive
def erf(x):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return special(x, "erf")


erf.vjp(x=lambda g, x: g * (1.1283791670955126 * exp(-(x * x))))  # 2 / sqrt(pi)


def special(x: Any, name: str) -> Any:
    """A special function from SciPy, or CuPy's copy of it; where SciPy is missing, from the standard library."""
    xp = namespace(x)
    try:
        library = "scipy.special" if xp.__name__ == "numpy" else f"{xp.__name__}x.scipy.special"
        function = getattr(__import__(library, fromlist=[name]), name)
    except ImportError:
        import math

        function = xp.vectorize(getattr(math, name), otypes=[x.dtype])
    return function(x)


# -- comparisons: no gradient ---------------------------------------------------------------------------------------
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
