"""The steps of optimisers, each in one compiled pass, with exactly the roundings of `im2col`.

The pass runs along memory, whatever order the axes have in it. Many parameters may take a step of SGD or Adam in one
call (`many.py`).

In the loops, capitals are a thread's own part of each array. Counted from 0, they leave no index that LLVM takes for
a negative one, so that it makes vectors of them. What is off is a condition, not a product: 0 times infinity is NaN.
"""

from collections.abc import Iterator
from math import prod, sqrt

import numpy as np

from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import compiled, kernel
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape, by_loop, planner
from tinyres_kernels.im2col.update import rmsprop as im2col_rmsprop
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Adam, Rmsprop, Sgd

WORK = 30  # of one number, in multiplications: memory is what is waited for

PLANNERS |= dict.fromkeys(("sgd", "adam"), by_loop(lambda p, *_: WORK * prod(p)))


@planner("rmsprop")
def _plan_rmsprop(shapes: tuple[Shape | None, ...], _: int, machine: Machine, choices: Choices, s: Rmsprop) -> Plan:
    p, *_others, new_a, new_b = shapes
    if new_a is not None or new_b is not None:
        return Plan("im2col", ("centred or with momentum",))
    assert p is not None
    return Plan("loop", threads=machine.threads_for(WORK * prod(p), choices))


@compiled
def sgd_line(P, G, B, O, NB, settings, moves, first, nesterov):
    """One part of each array, from its first number to its last."""
    real = P.dtype.type
    lr, momentum, share, decay = real(settings[0]), real(settings[1]), real(settings[2]), real(settings[3])
    decays = decay != 0
    for i in range(P.size):
        step = G[i] + decay * P[i] if decays else G[i]
        if moves:
            b = step if first else momentum * B[i] + share * step
            NB[i] = b
            step = step + momentum * b if nesterov else b
        O[i] = P[i] - lr * step


@kernel
def _sgd(t, threads, p, g, buffer, out, new_buffer, settings, moves, first, nesterov):
    own = slice(p.size * t // threads, p.size * (t + 1) // threads)
    sgd_line(p[own], g[own], buffer[own], out[own], new_buffer[own], settings, moves, first, nesterov)


@compiled
def adam_line(P, G, M, V, O, NM, NV, settings, first):
    """One part of each array, from its first number to its last."""
    real = P.dtype.type
    rate, keep1, share1, keep2, share2 = (
        real(settings[0]), real(settings[1]), real(settings[2]), real(settings[3]), real(settings[4])
    )  # fmt: skip
    eps, decay, shrink, scale = real(settings[5]), real(settings[6]), real(settings[7]), real(settings[8])
    decays = decay != 0
    for i in range(P.size):
        slope = G[i] + decay * P[i] if decays else G[i]
        mean, square = share1 * slope, share2 * (slope * slope)
        if not first:
            mean, square = keep1 * M[i] + mean, keep2 * V[i] + square
        NM[i], NV[i] = mean, square
        O[i] = shrink * P[i] - rate * (mean / (sqrt(square) / scale + eps))


@kernel
def _adam(t, threads, p, g, m, v, out, new_m, new_v, settings, first):
    own = slice(p.size * t // threads, p.size * (t + 1) // threads)
    adam_line(p[own], g[own], m[own], v[own], out[own], new_m[own], new_v[own], settings, first)


@kernel
def _rmsprop(t, threads, p, g, v, out, new_v, settings, first):
    size, real = p.size, p.dtype.type
    lr, keep, share = real(settings[0]), real(settings[1]), real(settings[2])
    eps, decay = real(settings[3]), real(settings[4])
    decays = decay != 0
    own = slice(size * t // threads, size * (t + 1) // threads)
    P, G, V, O, NV = p[own], g[own], v[own], out[own], new_v[own]
    for i in range(P.size):
        slope = G[i] + decay * P[i] if decays else G[i]
        spread = share * (slope * slope)
        if not first:
            spread = keep * V[i] + spread
        NV[i] = spread
        O[i] = P[i] - lr * (slope / (sqrt(spread) + eps))


def _lines(written: tuple[Array, ...], read: tuple[Array, ...]) -> Iterator[Array]:
    """All arrays as lines, in the dtype and order of memory of the first; what is read is copied where it lies
    otherwise. None becomes a line that the loop does not touch."""
    out, x = written[0], read[0]
    order = None if out.flags.c_contiguous else sorted(range(out.ndim), key=lambda axis: -out.strides[axis])
    for a in written:
        a = out if a is None else a
        line = a if order is None else a.transpose(order)
        if not line.flags.c_contiguous or a.dtype != out.dtype:
            raise ValueError(f"new state must be laid out as out is, without gaps: got strides {a.strides}, {a.dtype}")
        yield line.reshape(-1)
    for a in read:
        a = x if a is None else a
        yield flat(np.ascontiguousarray(a if order is None else a.transpose(order), out.dtype))


def sgd(p: Array, g: Array, buffer: Array | None, out: Array, new_buffer: Array | None, s: Sgd) -> None:
    """`reference.sgd` in one pass: 20 bytes a number in float32."""
    end, new, start, slope, old = _lines((out, new_buffer), (p, g, buffer))
    flags = new_buffer is not None, buffer is None, bool(s.nesterov)
    _sgd(threads(WORK * p.size), start, slope, old, end, new, sgd_numbers(s), *flags)


def sgd_numbers(s: Sgd) -> tuple[float, ...]:
    """What the loop makes of the settings."""
    return float(s.lr), float(s.momentum), float(1 - s.dampening), float(s.weight_decay)


def adam_numbers(s: Adam) -> tuple[float, ...]:
    """What the loop makes of the settings."""
    decay, shrink = (0.0, 1 - s.lr * s.weight_decay) if s.decoupled else (s.weight_decay, 1.0)
    rates = (
        s.lr / (1 - s.beta1**s.step), s.beta1, 1 - s.beta1, s.beta2, 1 - s.beta2, s.eps, decay, shrink,
        (1 - s.beta2**s.step) ** 0.5,
    )  # fmt: skip
    return tuple(float(rate) for rate in rates)


def adam(p: Array, g: Array, m: Array | None, v: Array | None, out: Array, new_m: Array, new_v: Array, s: Adam) -> None:
    """`reference.adam` in one pass: 28 bytes a number in float32."""
    end, mean, square, *olds = _lines((out, new_m, new_v), (p, g, m, v))
    _adam(threads(WORK * p.size), *olds, end, mean, square, adam_numbers(s), m is None)


def rmsprop(
    p: Array,
    g: Array,
    v: Array | None,
    a: Array | None,
    b: Array | None,
    out: Array,
    new_v: Array,
    new_a: Array | None,
    new_b: Array | None,
    s: Rmsprop,
) -> None:
    """`reference.rmsprop` in one pass, 20 bytes a number in float32; centred or with momentum as in `im2col`."""
    if new_a is not None or new_b is not None:
        im2col_rmsprop(p, g, v, a, b, out, new_v, new_a, new_b, s)
        return
    end, spread, start, slope, old = _lines((out, new_v), (p, g, v))
    settings = tuple(float(rate) for rate in (s.lr, s.alpha, 1 - s.alpha, s.eps, s.weight_decay))
    _rmsprop(threads(WORK * p.size), start, slope, old, end, spread, settings, v is None)
