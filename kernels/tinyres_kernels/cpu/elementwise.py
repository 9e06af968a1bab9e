"""The sum of two arrays, and the ReLU with its adjoint: one pass each, on all threads."""

from math import prod

from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel, part
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, by_loop
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Relu

COST = 24  # multiplications that a number's way through memory is worth

PLANNERS |= dict.fromkeys(("add", "relu", "relu_dx"), by_loop(lambda x, *_: COST * prod(x)))


@kernel
def _add(t, threads, a, b, out):
    first, last = part(t, threads, len(a))
    for i in range(first, last):
        out[i] = a[i] + b[i]


@kernel
def _relu(t, threads, x, out, slope, leaky):
    first, last = part(t, threads, len(x))
    if leaky:
        for i in range(first, last):
            out[i] = x[i] * slope if x[i] <= 0 else x[i]
    else:
        for i in range(first, last):
            out[i] = 0 if x[i] <= 0 else x[i]


@kernel
def _relu_dx(t, threads, g, y, out, slope, leaky):
    first, last = part(t, threads, len(g))
    if leaky:
        for i in range(first, last):
            out[i] = g[i] if y[i] > 0 else g[i] * slope
    else:
        for i in range(first, last):
            out[i] = g[i] if y[i] > 0 else 0


def add(a: Array, b: Array, out: Array) -> None:
    """`reference.add`. 12 M bytes in float32."""
    _add(threads(COST * a.size), flat(a), flat(b), out)


def relu(x: Array, out: Array, s: Relu) -> None:
    """`reference.relu`. 8 M bytes in float32."""
    _relu(threads(COST * x.size), flat(x), out, x.dtype.type(s.slope), s.slope != 0)


def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> None:
    """`reference.relu_dx`. 12 M bytes in float32."""
    _relu_dx(threads(COST * g.size), flat(g), flat(y), out, g.dtype.type(s.slope), s.slope != 0)
