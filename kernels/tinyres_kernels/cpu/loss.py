"""Cross-entropy and its gradient, each in one compiled pass.

What is almost nothing but exponentials is left to `im2col`: NumPy's come in vectors, a compiled loop's one by one.
"""

from math import exp, log, prod

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape, by_loop, decide, planner
from tinyres_kernels.im2col.loss import bce_with_logits, bce_with_logits_dx
from tinyres_kernels.im2col.loss import cross_entropy as im2col_cross_entropy
from tinyres_kernels.namespace import Array

__all__ = ["bce_with_logits", "bce_with_logits_dx", "cross_entropy", "cross_entropy_dx"]

EXPONENTIAL = 10  # the time of one, in multiplications


@planner("cross_entropy")
def _plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: None) -> Plan:
    x = shapes[0]
    if len(x) == 2 and x[1] >= choices.limit("wide_classes"):
        return Plan("im2col", ("many classes",))
    return Plan("loop", threads=machine.threads_for(EXPONENTIAL * prod(x), choices))


PLANNERS["cross_entropy_dx"] = by_loop(lambda g, probabilities, *_: 8 * prod(probabilities))
PLANNERS |= dict.fromkeys(("bce_with_logits", "bce_with_logits_dx"), lambda *_: Plan("im2col"))


@kernel
def _rows(t, threads, x, target, out, probabilities):
    M, C = x.shape
    for m in range(M * t // threads, M * (t + 1) // threads):
        top = x[m, 0]
        for c in range(1, C):
            top = x[m, c] if x[m, c] > top else top
        total = 0.0
        for c in range(C):  # a NaN may be missing in top: it is in the sum
            power = exp(x[m, c] - top)
            probabilities[m, c] = power
            total += power
        out[m] = log(total) - (x[m, target[m]] - top)
        scale = probabilities.dtype.type(1 / total)
        for c in range(C):
            probabilities[m, c] *= scale


@kernel
def _rows_dx(t, threads, g, probabilities, target, out):
    M, C = out.shape
    for m in range(M * t // threads, M * (t + 1) // threads):
        for c in range(C):
            out[m, c] = g[m] * probabilities[m, c]
        out[m, target[m]] = g[m] * (probabilities[m, target[m]] - 1)


def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> None:
    """`reference.cross_entropy`, row by row while the row is in the cache; sums in float64. 8 M C bytes in float32."""
    plan = decide("cross_entropy", (x.shape,), x.itemsize)
    if plan.way == "im2col":
        im2col_cross_entropy(x, target, out, probabilities)
        return
    _rows(plan.threads, flat(x).reshape(x.shape), flat(target), out, probabilities)


def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> None:
    """`reference.cross_entropy_dx` in one pass. 8 M C bytes in float32."""
    _rows_dx(threads(8 * out.size), flat(g), flat(probabilities).reshape(out.shape), flat(target), out)
