"""Softmax, cross-entropies and their gradients, each in one compiled pass."""

from math import log, prod

from tinyres_kernels.cpu.elementary import exp, log1p
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel, part
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, by_loop
from tinyres_kernels.cpu.softmax import exponentials, largest, product, total
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Softmax

EXPONENTIAL = 40  # the time of one, and of what is done with it, in multiplications

PLANNERS["cross_entropy"] = by_loop(lambda x, *_: EXPONENTIAL * prod(x))
PLANNERS |= dict.fromkeys(("softmax", "softmax_dx"), PLANNERS["cross_entropy"])
PLANNERS["cross_entropy_dx"] = by_loop(lambda g, probabilities, *_: 8 * prod(probabilities))
PLANNERS |= dict.fromkeys(("bce_with_logits", "bce_with_logits_dx"), by_loop(lambda x, *_: 2 * EXPONENTIAL * prod(x)))


@kernel
def _softmax(t, threads, x, out, logarithm):
    M, C = x.shape
    lines, powers = x.reshape(-1), out.reshape(-1)
    for m in range(M * t // threads, M * (t + 1) // threads):
        top = largest(lines, m * C, C)
        whole = exponentials(lines, m * C, C, top, powers, m * C)
        if logarithm:
            less = log(whole)
            for c in range(C):
                out[m, c] = x[m, c] - top - less
        else:
            scale = x.dtype.type(1) / whole
            for c in range(C):
                out[m, c] *= scale


@kernel
def _softmax_dx(t, threads, g, y, out, logarithm):
    M, C = g.shape
    slopes, values, made = g.reshape(-1), y.reshape(-1), out.reshape(-1)
    for m in range(M * t // threads, M * (t + 1) // threads):
        if logarithm:
            whole = total(slopes, m * C, C)
            exponentials(values, m * C, C, y.dtype.type(0), made, m * C)
            for c in range(C):
                out[m, c] = g[m, c] - out[m, c] * whole
        else:
            inner = product(slopes, m * C, values, m * C, C)
            for c in range(C):
                out[m, c] = y[m, c] * (g[m, c] - inner)


@kernel
def _rows(t, threads, x, target, out, probabilities):
    M, C = x.shape
    lines, powers = x.reshape(-1), probabilities.reshape(-1)
    for m in range(M * t // threads, M * (t + 1) // threads):
        top = largest(lines, m * C, C)
        total = exponentials(lines, m * C, C, top, powers, m * C)  # a NaN is missing in top, and is in here
        out[m] = log(total) - (x[m, target[m]] - top)
        scale = x.dtype.type(1) / total
        for c in range(C):
            probabilities[m, c] *= scale


@kernel
def _rows_dx(t, threads, g, probabilities, target, out):
    M, C = out.shape
    for m in range(M * t // threads, M * (t + 1) // threads):
        for c in range(C):
            out[m, c] = g[m] * probabilities[m, c]
        out[m, target[m]] = g[m] * (probabilities[m, target[m]] - 1)


@kernel
def _yes_or_no(t, threads, x, target, out):
    one, zero = x.dtype.type(1), x.dtype.type(0)
    first, last = part(t, threads, len(x))
    for i in range(first, last):
        shared = log1p(exp(-abs(x[i])))
        above, below = x[i] if x[i] > zero else zero, -x[i] if x[i] < zero else zero
        out[i] = target[i] * (below + shared) + (one - target[i]) * (above + shared)


@kernel
def _yes_or_no_dx(t, threads, g, x, target, out):
    one, zero = x.dtype.type(1), x.dtype.type(0)
    first, last = part(t, threads, len(x))
    for i in range(first, last):
        power = exp(-abs(x[i]))
        yes, no = one if x[i] > zero else power, power if x[i] > zero else one
        out[i] = g[i] * (((one - target[i]) * yes - target[i] * no) / (one + power))


def softmax(x: Array, out: Array, s: Softmax) -> None:
    """`reference.softmax`, row by row while the row is in the cache. 8 M C bytes in float32."""
    _softmax(threads(EXPONENTIAL * x.size), flat(x).reshape(x.shape), out, s.log)


def softmax_dx(g: Array, y: Array, out: Array, s: Softmax) -> None:
    """`reference.softmax_dx`, row by row. 12 M C bytes in float32."""
    _softmax_dx(threads(EXPONENTIAL * g.size), flat(g).reshape(g.shape), flat(y).reshape(y.shape), out, s.log)


def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> None:
    """`reference.cross_entropy`, row by row while the row is in the cache. 8 M C bytes in float32."""
    _rows(threads(EXPONENTIAL * x.size), flat(x).reshape(x.shape), flat(target), out, probabilities)


def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> None:
    """`reference.cross_entropy_dx` in one pass. 8 M C bytes in float32."""
    _rows_dx(threads(8 * out.size), flat(g), flat(probabilities).reshape(out.shape), flat(target), out)


def bce_with_logits(x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits`; both softplus share one logarithm. 12 bytes an element in float32."""
    _yes_or_no(threads(2 * EXPONENTIAL * x.size), flat(x), flat(target), out.reshape(-1))


def bce_with_logits_dx(g: Array, x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits_dx`. 16 bytes an element in float32."""
    _yes_or_no_dx(threads(2 * EXPONENTIAL * x.size), flat(g), flat(x), flat(target), out.reshape(-1))
