"""Smooth activation functions in whole-array operations."""

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Activation
from tinyres_kernels.smooth import FUNCTIONS


def activation(x: Array, out: Array, s: Activation) -> None:
    """`reference.activation`. 8 M to 60 M bytes in float32."""
    out[...] = FUNCTIONS[s.name][0](x)


def activation_dx(g: Array, x: Array, out: Array, s: Activation) -> None:
    """`reference.activation_dx`. 30 M to 90 M bytes in float32."""
    out[...] = g * FUNCTIONS[s.name][1](x)
