"""Activations and their derivatives in NumPy: for the integrals of the theory, and to check the library's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """phi, its derivative, and whether phi(c x) = c phi(x) for c > 0: then the signal's variance does not matter."""

    label: str
    value: Function
    slope: Function
    scale_free: bool = False


def _normal(x: Array) -> Any:
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _sigmoid(x: Array) -> Any:
    from scipy.special import expit  # when it is needed: to import it takes as long as all of NumPy

    return expit(x)


def _cumulative(x: Array) -> Any:
    """The share of N(0, 1) below x."""
    from scipy.special import ndtr

    return ndtr(x)


def _leaky(slope: float) -> tuple[Function, Function]:
    return lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope)


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


ACTIVATIONS = {  # keyed by the names of the library's functions
    "linear": Activation("linear", lambda x: x, np.ones_like, scale_free=True),
    "relu": Activation("ReLU", *_leaky(0.0), scale_free=True),
    "leaky_relu": Activation("leaky ReLU", *_leaky(0.01), scale_free=True),
    "elu": Activation("ELU", _elu, lambda x: np.exp(np.minimum(x, 0))),
    "gelu": Activation("GELU", lambda x: x * _cumulative(x), lambda x: _cumulative(x) + x * _normal(x)),
    "silu": Activation("SiLU", lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
    "softplus": Activation("softplus", lambda x: np.logaddexp(0, x), _sigmoid),
    "sigmoid": Activation("sigmoid", _sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "tanh": Activation("tanh", np.tanh, lambda x: 1 / np.cosh(np.minimum(np.abs(x), 300)) ** 2),
}
