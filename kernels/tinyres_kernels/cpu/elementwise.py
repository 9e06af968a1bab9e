"""The sum of two arrays, and the ReLU with its adjoint: one pass each, on all threads.

Large results go past the caches (`emit.stream`): STEP numbers at a time are computed in `lines`, a part of which each
thread has to itself.
"""

from math import prod
from typing import Any

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.emit import stream, streamed
from tinyres_kernels.cpu.jit import kernel, part
from tinyres_kernels.cpu.memory import flat, scratch
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape, decide, past_caches
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Relu

COST = 16  # multiplications that a number's way through memory is worth
STEP = np.uintp(2048)
APART = np.uintp(2048 + 64)  # numbers from one thread's lines to the next thread's


def _plan(shapes: tuple[Shape, ...], itemsize: int, machine: Machine, choices: Choices, s: Any) -> Plan:
    """how: whether the result goes past the caches."""
    size = prod(shapes[0])
    count = machine.threads_for(COST * size, choices)
    past, trait = past_caches(size * itemsize, count, choices)
    return Plan("loop", (trait,), count, past)


PLANNERS |= dict.fromkeys(("add", "relu", "relu_dx"), _plan)


@kernel
def _add(t, threads, a, b, out, lines, past):
    first, last = part(t, threads, len(a))
    into = lines if past else out
    for begin in range(first, last, STEP):
        count, at = min(STEP, last - begin), np.uintp(t) * APART if past else begin
        for k in range(count):
            into[at + k] = a[begin + k] + b[begin + k]
        if past:
            stream(out, begin, lines, at, count)
    if past:
        streamed()


@kernel
def _relu(t, threads, x, out, lines, past, slope, leaky):
    first, last = part(t, threads, len(x))
    into = lines if past else out
    for begin in range(first, last, STEP):
        count, at = min(STEP, last - begin), np.uintp(t) * APART if past else begin
        if leaky:
            for k in range(count):
                into[at + k] = x[begin + k] * slope if x[begin + k] <= 0 else x[begin + k]
        else:
            for k in range(count):
                into[at + k] = 0 if x[begin + k] <= 0 else x[begin + k]
        if past:
            stream(out, begin, lines, at, count)
    if past:
        streamed()


@kernel
def _relu_dx(t, threads, g, y, out, lines, past, slope, leaky):
    first, last = part(t, threads, len(g))
    into = lines if past else out
    for begin in range(first, last, STEP):
        count, at = min(STEP, last - begin), np.uintp(t) * APART if past else begin
        if leaky:
            for k in range(count):
                into[at + k] = g[begin + k] if y[begin + k] > 0 else g[begin + k] * slope
        else:
            for k in range(count):
                into[at + k] = g[begin + k] if y[begin + k] > 0 else 0
        if past:
            stream(out, begin, lines, at, count)
    if past:
        streamed()


def _lines(plan: Plan, like: Array) -> Array:
    return scratch("lines", like.dtype, plan.threads * int(APART) if plan.how else 1)


def add(a: Array, b: Array, out: Array) -> None:
    """`reference.add`. 12 M bytes in float32."""
    plan = decide("add", (a.shape,), a.itemsize)
    # What is added in place is in the cache already.
    _add(plan.threads, flat(a), flat(b), out, _lines(plan, out), plan.how and out is not a)


def relu(x: Array, out: Array, s: Relu) -> None:
    """`reference.relu`. 8 M bytes in float32."""
    plan = decide("relu", (x.shape,), x.itemsize)
    _relu(plan.threads, flat(x), out, _lines(plan, out), plan.how, x.dtype.type(s.slope), s.slope != 0)


def relu_dx(g: Array, y: Array, out: Array, s: Relu) -> None:
    """`reference.relu_dx`. 12 M bytes in float32."""
    plan = decide("relu_dx", (g.shape,), g.itemsize)
    _relu_dx(plan.threads, flat(g), flat(y), out, _lines(plan, out), plan.how, g.dtype.type(s.slope), s.slope != 0)
