"""Smooth activation functions and their derivatives, number by number."""

from collections.abc import Callable
from math import erfc, exp, log1p, pi, sqrt, tanh

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import GELU_CUBE, GELU_SCALE, Activation


def _sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + log1p(exp(-abs(x)))


def _normal(x: float) -> float:
    return 0.5 * erfc(-x / sqrt(2))


def _inner(x: float) -> float:
    return GELU_SCALE * (x + GELU_CUBE * x * x * x)


def _gelu_slope(x: float) -> float:
    return _normal(x) + x * exp(-x * x / 2) / sqrt(2 * pi)


def _gelu_tanh_slope(x: float) -> float:
    gate, rest = _sigmoid(2 * _inner(x)), _sigmoid(-2 * _inner(x))
    return gate + x * gate * rest * 2 * GELU_SCALE * (1 + 3 * GELU_CUBE * x * x)


FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "tanh": (tanh, lambda y: 1 - y * y),
    "sigmoid": (_sigmoid, lambda y: y * (1 - y)),
    "softplus": (_softplus, _sigmoid),
    "silu": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "gelu": (lambda x: x * _normal(x), _gelu_slope),
    "gelu_tanh": (lambda x: x * _sigmoid(2 * _inner(x)), _gelu_tanh_slope),
}


def activation(x: Array, out: Array, s: Activation) -> None:
    """out[i] = f(x[i]), with f by its name:

        tanh, sigmoid     1 / (1 + exp(-x)),   softplus   log(1 + exp(x)),   silu   x sigmoid(x)
        gelu              x Phi(x), Phi the normal distribution function
        gelu_tanh         x sigmoid(2 u),   u = sqrt(2 / pi) (x + 0.044715 x^3)

    Nothing overflows. NaN stays NaN; minus infinity times the 0 that belongs to it is NaN.

    x and out are (M,). Cost: M exponentials or the like; x read once, out written once: 8 M bytes in float32.
    Hendrycks & Gimpel 2016 [hendrycks2016gaussian], Elfwing et al. 2018 [elfwing2018sigmoid].
    """
    function = FUNCTIONS[s.name][0]
    for i, value in enumerate(x.tolist()):
        out[i] = function(value)


def activation_dx(g: Array, x: Array, out: Array, s: Activation) -> None:
    """The gradient of `activation`: out[i] = g[i] f'(x[i]).

    x is its argument, but of tanh and sigmoid it is what they gave: 1 - y^2 and y (1 - y) are all that is needed.

    g, x and out are (M,). Cost: as `activation`; g and x read once, out written once: 12 M bytes in float32.
    """
    slope = FUNCTIONS[s.name][1]
    for i, value in enumerate(x.tolist()):
        out[i] = float(g[i]) * slope(value)
