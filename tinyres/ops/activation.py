"""Activation functions. At a kink, the derivative is that from the left: relu'(0) = 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tinyres_kernels.settings import GELU_CUBE, GELU_SCALE, Activation, Relu
from tinyres_kernels.smooth import FUNCTIONS

from tinyres.arrays import empty, empty_in_order, kernels_for, namespace, ravel_alike, unravel_like
from tinyres.arrays.memory import LEAST
from tinyres.autograd.calling import primitive, public
from tinyres.ops.elementwise import erf, floating, where, zeros_of
from tinyres.ops.kinds import fractions

MANY = LEAST // 8  # numbers, of float64 or float32, that a kernel may be worth


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


def _alike(dy: Any, x: Any) -> list[Any] | None:
    """`ravel_alike`, where dy is copied into the layout of x if the layouts differ, as after a flatten."""
    lines = ravel_alike(dy, x)
    if lines is None and x.shape == dy.shape and x.dtype == dy.dtype and ravel_alike(x) is not None:
        again = empty_in_order(dy.shape, like=x)
        again[...] = dy
        lines = ravel_alike(again, x)
    return lines


@primitive
def relu_dx(dy, x, *, slope):
    """The vector-Jacobian product of relu and leaky_relu: dy where x > 0, else slope dy. It is constant in x.

    It is not a product with a mask: at slope 0 that would turn an infinite cotangent into NaN where a unit is off.
    """
    lines = _alike(dy, x)
    if lines is not None:
        return unravel_like(kernels_for(dy).relu_dx(*lines, empty(lines[0].shape, like=x), Relu(slope)), x)
    return where(x > 0, dy, slope * dy if slope else 0.0)


relu_dx.vjp(dy=lambda g, x, slope: relu_dx(g, x, slope=slope), x=zeros_of)


@public
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope * x (Maas et al. 2013 [maas2013rectifier])."""
    return leaky_relu_(x, negative_slope=negative_slope)


@primitive
def elu_(x, *, alpha):
    xp, x = namespace(x), fractions(x)
    return xp.maximum(x, 0) + alpha * xp.expm1(xp.minimum(x, 0))  # one of the two is 0


elu_.vjp(x=lambda g, x, y, alpha: where(x > 0, g, g * (y + alpha)))


@public
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha * (e^x - 1) (Clevert et al. 2016 [clevert2016fast])."""
    return elu_(x, alpha=alpha)


def _on_host(x: Any) -> bool:
    """Whether x is NumPy's. A GPU's kernel set has whole-array operations for these, and would copy the result."""
    return namespace(x) is np


def _smooth(name: str, x: Any) -> Any:
    """f(x), of the activation with this name: a large array's by a kernel, in one pass."""
    lines = ravel_alike(x) if _on_host(x) else None
    if lines is None:
        return FUNCTIONS[name][0](fractions(x))
    return unravel_like(kernels_for(x).activation(*lines, empty(lines[0].shape, like=x), Activation(name)), x)


def _smooth_dx(name: str, g: Any, x: Any) -> Any:
    """g f'(x), likewise."""
    lines = _alike(g, x) if _on_host(x) else None
    if lines is None:
        return g * FUNCTIONS[name][1](x)
    return unravel_like(kernels_for(x).activation_dx(*lines, empty(lines[0].shape, like=x), Activation(name)), x)


@primitive
def tanh(x):
    """The hyperbolic tangent."""
    return np.tanh(x) if type(x) is np.ndarray and x.itemsize > 2 and x.nbytes < LEAST else _smooth("tanh", x)


@primitive
def sigmoid(x):
    """1 / (1 + e^-x), without overflow, and accurate far out in the left tail."""
    return _smooth("sigmoid", x)


@primitive
def softplus_(x):
    return _smooth("softplus", x)


@primitive
def smooth_dx(dy, x, *, function):
    """The vector-Jacobian product of tanh, sigmoid or softplus: dy f'(x). Of the first two, x is the output."""
    return _smooth_dx(function, dy, x)


def _bend(x, function):
    """The derivative of f'(x) in that x."""
    if function == "softplus":
        return sigmoid(x) * sigmoid(-x)
    return -2 * x if function == "tanh" else 1 - 2 * x


smooth_dx.vjp(
    dy=lambda g, x, function: smooth_dx(g, x, function=function),
    x=lambda g, dy, x, function: g * dy * _bend(x, function),
)


# On a few numbers, NumPy is done before another operation is called.
def _tanh_dx(g, y):
    return smooth_dx(g, y, function="tanh") if y.size >= MANY else g * (1 - y * y)


def _sigmoid_dx(g, y):
    return smooth_dx(g, y, function="sigmoid") if y.size >= MANY else g * (y * (1 - y))


tanh.vjp(x=_tanh_dx)
sigmoid.vjp(x=_sigmoid_dx)
softplus_.vjp(x=lambda g, x: smooth_dx(g, x, function="softplus"))


@primitive(decomposition=lambda x: x * sigmoid(x))
def silu_(x):
    return _smooth("silu", x)


@primitive(
    decomposition=lambda x, *, curve: 0.5 * x * (1 + (erf(x * math.sqrt(0.5)) if curve == "gelu" else tanh(_inner(x))))
)
def gelu_(x, *, curve):
    return _smooth(curve, x)


def _inner(x):
    return GELU_SCALE * (x + GELU_CUBE * x * x * x)


silu_.vjp(x=lambda g, x: _smooth_dx("silu", g, x))
gelu_.vjp(x=lambda g, x, curve: _smooth_dx(curve, g, x))


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
    return -softplus_(-floating(x))


@public
def silu(x: Any) -> Any:
    """x * sigmoid(x) (Elfwing et al. 2018 [elfwing2018sigmoid])."""
    return silu_(x)


@public
def gelu(x: Any, approximate: str = "none") -> Any:
    """x * Phi(x), with Phi the normal distribution function (Hendrycks & Gimpel 2016 [hendrycks2016gaussian]).

    Args:
        approximate: "none" for the exact form, "tanh" for 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return gelu_(x, curve="gelu" if approximate == "none" else "gelu_tanh")
