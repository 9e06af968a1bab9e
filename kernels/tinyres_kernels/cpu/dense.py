"""A fully connected layer, whose bias is added while a block of the result is in the cache; and sums of columns."""

from math import prod

import numpy as np

from tinyres_kernels.cpu import products
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.matmul import by_blas
from tinyres_kernels.cpu.memory import spanned
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape, decide, planner
from tinyres_kernels.namespace import Array

COST = 16  # multiplications that a number's way through memory is worth
NEAR = 32  # rows of which a sum is formed in the arrays' own dtype, before it is added to a float64 total
APART = 64  # numbers between what belongs to one thread and to the next


@planner("linear")
def _linear_plan(
    shapes: tuple[Shape | None, ...], itemsize: int, machine: Machine, choices: Choices, s: None
) -> Plan:  # fmt: skip
    x, w = shapes[:2]
    assert x is not None
    assert w is not None
    plan: Plan = PLANNERS["matmul"]((x, w[::-1]), itemsize, machine, choices, s)
    return plan


@planner("column_sums")
def _sums_plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: None) -> Plan:
    return Plan("loop", threads=machine.threads_for(COST * prod(shapes[0]), choices))


def linear(x: Array, w: Array, b: Array | None, out: Array) -> None:
    """`reference.linear`."""
    plan = decide("linear", (x.shape, w.shape), x.itemsize)
    if plan.way == "tiles":
        products.product(x, w.T, out, plan.threads, b)
    else:
        by_blas(x, w.T, out, plan.threads)
        if b is not None:
            np.add(out, b, out=out)


@kernel
def _column_sums(t, threads, x, step, near, totals, M, C, width):
    first, last = M * t // threads, M * (t + 1) // threads
    own = np.uintp(t * width)
    columns = np.uintp(C)
    for j in range(columns):
        near[own + j], totals[own + j] = 0, 0
    for begin in range(first, last, NEAR):
        for m in range(begin, min(begin + NEAR, last)):
            at = np.uintp(m * step)
            for j in range(columns):
                near[own + j] += x[at + j]
        for j in range(columns):
            totals[own + j] += near[own + j]
            near[own + j] = 0


def column_sums(x: Array, out: Array) -> None:
    """`reference.column_sums`. Each thread sums over its rows, and the sums are added in order."""
    (M, C), count = x.shape, threads(COST * x.size)
    line, (step, _) = spanned(x)
    width = C + APART
    near, totals = np.empty(count * width, out.dtype), np.empty(count * width)
    _column_sums(count, line, step, near, totals, M, C, width)
    out[...] = totals.reshape(count, width)[:, :C].sum(axis=0)
