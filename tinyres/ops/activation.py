"""Activation functions. At a kink, the derivative is that from the left: relu'(0) = 0."""

from __future__ import annotations

import math
from typing import Any

from tinyres_kernels.settings import Relu

from tinyres.arrays import empty, empty_in_order, kernels_for, namespace, ravel_alike, unravel_like
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import erf, where


@primitive
def relu(x):
    """max(x, 0). NaN stays NaN and gets no gradient, since it is not above 0."""
    return _relu(x, 0.0)


relu.vjp(x=lambda g, y: relu_dx(g, y, slope=0.0))


@primitive
def leaky_relu_(x, *, negative_slope):
    return _relu(x, negative_slope)


leaky_relu_.vjp(x=lambda g, x, negative_slope: relu_dx(g, x, slope=negative_slope))


def _relu(x, slope):
    lines = ravel_alike(x)
    if lines is not None:
        return unravel_like(kernels_for(x).relu(*lines, empty(lines[0].shape, like=x), Relu(slope)), x)
    xp = namespace(x)
    return xp.where(x > 0, x, slope * x) if slope else xp.maximum(x, 0)


@primitive
def relu_dx(dy, x, *, slope):
    """The vector-Jacobian product of relu and leaky_relu: dy where x > 0, else slope dy. It is constant in x.

    It is not a product with a mask: at slope 0 that would turn an infinite cotangent into NaN where a unit is off.
    """
    lines = ravel_alike(dy, x)
    if lines is None and x.shape == dy.shape and x.dtype == dy.dtype and ravel_alike(x) is not None:
        again = empty_in_order(dy.shape, like=x)  # the layouts differ, as after a flatten: copy dy into that of x
        again[...] = dy
        lines = ravel_alike(again, x)
        dy = again
    if lines is not None:
        return unravel_like(kernels_for(dy).relu_dx(*lines, empty(lines[0].shape, like=dy), Relu(slope)), dy)
    return where(x > 0, dy, slope * dy if slope else 0.0)


relu_dx.vjp(dy=lambda g, x, slope: relu_dx(g, x, slope=slope), x=lambda g, x: where(False, x, 0.0))


@public
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope * x (Maas et al. 2013 [maas2013rectifier])."""
    return leaky_relu_(x, negative_slope=negative_slope)


@primitive
def elu_(x, *, alpha):
    xp = namespace(x)
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0))  # one of the two is 0


elu_.vjp(x=lambda g, x, y, alpha: where(x > 0, g, g * (y + alpha)))


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha * (e^x - 1) (Clevert et al. 2016 [clevert2016fast])."""
    return elu_(x, alpha=alpha)


@primitive
def tanh(x):
    """The hyperbolic tangent."""
    return namespace(x).tanh(x)


tanh.vjp(x=lambda g, y: g * (1 - y * y))


@primitive
def sigmoid(x):
    """1 / (1 + e^-x), without overflow, and accurate far out in the left tail."""
    xp = namespace(x)
    tail = xp.exp(-xp.abs(x))
    return xp.exp(xp.minimum(x, 0)) / (1 + tail)  # 1 or the tail again: cheaper than a branch for each element


sigmoid.vjp(x=lambda g, y: g * (y * (1 - y)))


@primitive
def softplus_(x):
    xp = namespace(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


softplus_.vjp(x=lambda g, x: g * sigmoid(x))


@public
def softplus(x: Any, beta: float = 1.0, threshold: float = math.inf) -> Any:
    """log(1 + e^(beta x)) / beta, without overflow.

    Args:
        threshold: where beta x is larger, the result is x. PyTorch has 20 there, which costs up to 2e-9 of the value
            and all of the curvature.
    """
    y = softplus_(x) if beta == 1.0 else softplus_(beta * x) / beta
    return y if threshold == math.inf else where(beta * x > threshold, x, y)


@public
def logsigmoid(x: Any) -> Any:
    """log sigmoid(x) = -softplus(-x): finite where log(sigmoid(x)) underflows."""
    return -softplus_(-x)


@public
def silu(x: Any) -> Any:
    """x * sigmoid(x) (Elfwing et al. 2018 [elfwing2018sigmoid])."""
    return x * sigmoid(x)


@public
def gelu(x: Any, approximate: str = "none") -> Any:
    """x * Phi(x), with Phi the normal distribution function (Hendrycks & Gimpel 2016 [hendrycks2016gaussian]).

    Args:
        approximate: "none" for the exact form, "tanh" for 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    """
    if approximate == "none":
        return 0.5 * x * (1 + erf(x * 0.7071067811865476))
    if approximate == "tanh":
        return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
