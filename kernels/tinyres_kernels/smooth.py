"""Smooth activation functions in whole-array operations: what the set `im2col` and small arrays are served by."""

import importlib
import math
from collections.abc import Callable

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import GELU_CUBE, GELU_SCALE


def special(x: Array, name: str) -> Array:
    """A special function such as "erf", from SciPy or `cupyx.scipy`; without SciPy, from Python's `math`."""
    xp = namespace(x)
    try:
        library = "scipy.special" if xp.__name__ == "numpy" else f"{xp.__name__}x.scipy.special"
        function = getattr(importlib.import_module(library), name)
    except ImportError:
        function = xp.vectorize(getattr(math, name), otypes=[x.dtype])
    return function(x)


def _tanh(x: Array) -> Array:
    return namespace(x).tanh(x)


def _sigmoid(x: Array) -> Array:
    """Without overflow, and accurate far out in the left tail."""
    xp = namespace(x)
    tail = xp.exp(-xp.abs(x))
    return xp.exp(xp.minimum(x, 0)) / (1 + tail)  # 1 or the tail again: cheaper than a branch for each element


def _softplus(x: Array) -> Array:
    xp = namespace(x)
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def _silu_slope(x: Array) -> Array:
    return _sigmoid(x) * (1 + x * _sigmoid(-x))


def _gelu_slope(x: Array) -> Array:
    bell = namespace(x).exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return 0.5 * special(x * -math.sqrt(0.5), "erfc") + x * bell


def _inner(x: Array) -> Array:
    return GELU_SCALE * (x + GELU_CUBE * x * x * x)


def _gelu_tanh_slope(x: Array) -> Array:
    gate, rest = _sigmoid(2 * _inner(x)), _sigmoid(-2 * _inner(x))
    return gate + x * (gate * rest) * (2 * GELU_SCALE * (1 + 3 * GELU_CUBE * x * x))


# Each with its derivative, which for the first two is a function of the output.
FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (_tanh, lambda y: 1 - y * y),
    "sigmoid": (_sigmoid, lambda y: y * (1 - y)),
    "softplus": (_softplus, _sigmoid),
    "silu": (lambda x: x * _sigmoid(x), _silu_slope),
    "gelu": (lambda x: 0.5 * x * special(x * -math.sqrt(0.5), "erfc"), _gelu_slope),
    "gelu_tanh": (lambda x: 0.5 * x * (1 + _tanh(_inner(x))), _gelu_tanh_slope),
}
