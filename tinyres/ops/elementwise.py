"""Elementwise operations: arithmetic, comparisons, elementary functions.

A name with an underscore (`clip_`) is the primitive; the function without it (`clip`) has the arguments that users
know, and calls the primitive. Tensors and error messages show the name without the underscore.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tinyres_kernels.smooth import special

from tinyres.arrays import empty, kernels_for, namespace, ravel_alike, to_device, unravel_like
from tinyres.arrays.memory import LEAST
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import Tensor
from tinyres.ops.kinds import fractions
from tinyres.ops.selecting import without_branches


@primitive(broadcasts=True)
def add_(a, b):
    if type(a) is np.ndarray and a.nbytes >= LEAST and type(b) is np.ndarray:
        lines = ravel_alike(a, b)  # a residual sum: NumPy has one thread, and fresh memory
        if lines is not None:
            return unravel_like(kernels_for(*lines).add(*lines, empty(lines[0].shape, like=a)), a)
    return a + b


add_.vjp(a=lambda g: g, b=lambda g: g)


@primitive(broadcasts=True)
def sub_(a, b):
    return a - b


sub_.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(broadcasts=True)
def mul(a, b):
    return a * b


mul.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(broadcasts=True)
def div_(a, b):
    return a / b


div_.vjp(a=lambda g, b: g / b, b=lambda g, b, y: -(g * (y / b)))


@primitive
def neg(x):
    return -x


neg.vjp(x=lambda g: -g)


@primitive
def identity(x):
    """y = x, with a new node."""
    return x


identity.vjp(x=lambda g: g)


@primitive
def astype_(x, *, dtype):
    return x.astype(dtype, copy=False)


astype_.vjp(x=lambda g: g)  # the engine converts every cotangent to the dtype of its input


@public
def astype(x: Any, dtype: Any) -> Any:
    """x converted to `dtype`; the gradient is converted back. Converted to integers, x has no gradient."""
    y = astype_(x, dtype=dtype)
    return y if not isinstance(y, Tensor) or np.issubdtype(y.dtype, np.floating) else y.detach()


def floating(x: Any) -> Any:
    """x, with integers converted to float64: for means and other operations whose result is not an integer."""
    return x if x.dtype.kind == "f" else astype(x, np.float64)


@primitive
def move(x, *, device):
    """x on the other device."""
    return to_device(x, device)


move.vjp(x=lambda g, device: move(g, device="cpu" if device == "cuda" else "cuda"))


@primitive
def exp(x):
    """e^x."""
    return namespace(x).exp(fractions(x))


exp.vjp(x=lambda g, y: g * y)


@primitive
def log(x):
    """The natural logarithm."""
    return namespace(x).log(fractions(x))


log.vjp(x=lambda g, x: g / x)


@primitive
def log1p(x):
    """log(1 + x), exact where x is too small for 1 + x."""
    return namespace(x).log1p(fractions(x))


log1p.vjp(x=lambda g, x: g / (1 + x))


@primitive
def expm1(x):
    """e^x - 1, exact where x is small."""
    return namespace(x).expm1(fractions(x))


expm1.vjp(x=lambda g, y: g * (y + 1))


@primitive
def sin(x):
    """The sine of an angle in radians."""
    return namespace(x).sin(fractions(x))


@primitive
def cos(x):
    """The cosine of an angle in radians."""
    return namespace(x).cos(fractions(x))


sin.vjp(x=lambda g, x: g * cos(x))
cos.vjp(x=lambda g, x: -(g * sin(x)))


@primitive
def sqrt(x):
    """The square root."""
    return namespace(x).sqrt(fractions(x))


sqrt.vjp(x=lambda g, y: g / (2 * y))


@public
def zeros_of(g):
    """Zeros of g's shape and kind: the rule of an input that the output is piecewise constant in, as in a mask.

    Not g * 0: that is NaN where g is infinite. A backward pass knows this rule, and computes nothing behind it.
    """
    return where(False, g, 0.0)


@primitive
def power(x, *, p):
    """x^p for a fixed number p."""
    x = x.astype(np.int64) if x.dtype.kind == "b" else x
    return x * x if p == 2 else x**p


power.vjp(x=lambda g, x, p: zeros_of(g) if p == 0 else g if p == 1 else g * (p * x ** (p - 1)))


@primitive(broadcasts=True)
def pow_(x, exponent):
    return namespace(x, exponent).power(x, exponent)


# d x^p / dx = p x^(p-1). At x = p = 0 that is 0 * 0^-1, a NaN, so the exponent p - 1 is raised to 0 there; masking all
# of p = 0 instead would lose the mixed derivative, 1 / x. d x^p / dp = x^p log x, which is taken as 0 at x = 0.
pow_.vjp(
    x=lambda g, x, exponent: g * exponent * x ** (exponent - 1 + (x == 0) * (exponent == 0)),
    exponent=lambda g, x, y: where(x == 0, 0.0, g * y * log(x + (x == 0))),
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
    return x if x.dtype.kind == "b" else namespace(x).sign(x)


sign.vjp(x=zeros_of)


@primitive
def abs(x):
    """|x|; the derivative at 0 is 0."""
    return namespace(x).abs(x)


abs.vjp(x=lambda g, x: g * sign(x))


@primitive(broadcasts=True)
def where(condition, a, b):
    """a where the condition holds, else b."""
    xp = namespace(condition, a, b)
    if xp is np:
        chosen = without_branches(condition, a, b)
        if chosen is not None:
            return chosen
    if condition is False and xp is not np:  # `zeros_of` passes a Python bool; CuPy needs an array
        condition = xp.zeros((), bool)
    y = xp.where(condition, a, b)
    return y.astype(np.float32) if type(a) is type(b) is float else y  # Python floats make float32, as everywhere


where.vjp(
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)


@primitive(broadcasts=True)
def maximum(a, b):
    """The larger of the two. Equal values get half of the gradient each; if one is NaN, both get all of it."""
    return namespace(a, b).maximum(a, b)


maximum.vjp(
    a=lambda g, a, b: where(a == b, 0.5 * g, where(a < b, 0.0, g)),
    b=lambda g, a, b: where(a == b, 0.5 * g, where(b < a, 0.0, g)),
)


@primitive(broadcasts=True)
def minimum(a, b):
    """The smaller of the two. Equal values get half of the gradient each; if one is NaN, both get all of it."""
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
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """x limited to [min, max]; where min > max, it is max. The bounds are numbers, or tensors that broadcast.

    The gradient passes within the bounds (and at them). Outside it is 0, and goes to the bound if that is a tensor.
    """
    if min is None and max is None:
        raise ValueError("clip: needs min, max or both, got neither")
    if not hasattr(min, "shape") and not hasattr(max, "shape"):
        return clip_(x, min=min, max=max)
    y = x if min is None else where(x < min, min, x)
    return y if max is None else where(y > max, max, y)


@primitive
def erf(x):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return special(x, "erf")


erf.vjp(x=lambda g, x: g * (1.1283791670955126 * exp(-(x * x))))  # 2 / sqrt(pi)
