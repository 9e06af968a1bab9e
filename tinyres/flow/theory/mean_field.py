"""Mean-field theory of wide random nets: variance maps, fixed points, chi and the depth scale.

Poole et al. 2016 [poole2016exponential], "Exponential expressivity in deep neural networks through transient chaos";
Schoenholz et al. 2017 [schoenholz2017deep], "Deep information propagation".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Function = Callable[[Array], Array]

_Z = np.linspace(-12, 12, 2_400)  # an even number: no point on the kink of ReLU
VANISHED, EXPLODED = 1e-6, 1e6  # a variance beyond these counts as going to 0 or infinity
_DENSITY = np.exp(-_Z * _Z / 2) / np.sqrt(2 * np.pi) * (_Z[1] - _Z[0])


def gaussian_mean(function: Function) -> float:
    """E f(z) for z ~ N(0, 1), by the midpoint rule (exact to rounding for smooth f)."""
    return float(function(_Z) @ _DENSITY)


def variance_map(q: float, activation: Function, s_w2: float, s_b2: float) -> float:
    """The pre-activation variance of the next layer: s_w^2 E[phi(sqrt(q) z)^2] + s_b^2."""
    return s_w2 * gaussian_mean(lambda z: activation(np.sqrt(q) * z) ** 2) + s_b2


def fixed_point(activation: Function, s_w2: float, s_b2: float) -> float:
    """Fixed point q* of the variance map, iterated from 1; NaN if it vanishes, explodes or has not converged."""
    q = 1.0
    for _ in range(10_000):
        q, before = variance_map(q, activation, s_w2, s_b2), q
        if not VANISHED < q < EXPLODED:
            break
        if abs(q - before) <= 1e-14 * q:
            return q
    return math.nan


def variances(q: float, depth: int, activation: Function, s_w2: float, s_b2: float) -> Array:
    """q_0, ..., q_depth: the variance map iterated from q."""
    found = [q]
    for _ in range(depth):
        found.append(variance_map(found[-1], activation, s_w2, s_b2))
    return np.array(found)


def weights_for(q: float, activation: Function, s_b2: float) -> float:
    """The s_w^2 whose fixed point is q: (q - s_b^2) / E[phi(sqrt(q) z)^2], the inverse of `fixed_point`."""
    return (q - s_b2) / gaussian_mean(lambda z: activation(np.sqrt(q) * z) ** 2)


def chi(q: float, derivative: Function, s_w2: float) -> float:
    """chi, the factor on the squared gradient per layer: s_w^2 E[phi'(sqrt(q) z)^2]."""
    return s_w2 * gaussian_mean(lambda z: derivative(np.sqrt(q) * z) ** 2)


def depth_scale(chi: float) -> float:
    """xi = 1 / |log chi|: the number of layers over which the squared gradient changes by a factor e."""
    return float(1 / abs(np.log(chi)))
