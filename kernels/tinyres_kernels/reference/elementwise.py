"""What goes number by number over large arrays: the sum of two, and the ReLU with its adjoint."""

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Relu


def add(a: Array, b: Array, out: Array) -> None:
    """out[i] = a[i] + b[i]: what the tape does wherever two cotangents meet. `out` may be a or b.

    a, b and out are (M,). Cost: M additions; a and b read once, out written once.
    """
    for i in range(len(a)):
        out[i] = float(a[i]) + float(b[i])


def relu(x: Array, out: Array, s: Relu) -> None:
    """out[i] = x[i] where x[i] > 0, else slope x[i]; with slope 0 that is 0, for -inf as well. NaN stays NaN.

    x and out are (M,). Cost: at most M multiplications; x read once, out written once. Maas et al. 2013
    [maas2013rectifier] (slope > 0).
    """
    for i in range(len(x)):
        value = float(x[i])
        out[i] = value if not value <= 0 else s.slope * value if s.slope else 0.0


def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> None:
    """The adjoint of `relu`, of whose output y (or input) only the signs are read: out[i] = g[i] where y[i] > 0, else
    slope g[i]; with slope 0 that is 0, for infinite g as well.

    g, y and out are (M,). Cost: at most M multiplications; g and y read once, out written once.
    """
    for i in range(len(g)):
        out[i] = float(g[i]) if y[i] > 0 else s.slope * float(g[i]) if s.slope else 0.0
