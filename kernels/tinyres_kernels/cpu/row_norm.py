"""Layer norm and RMS norm, a row at a time, while it lies in the nearest cache: one pass through memory each way.

To the loops, an RMS norm is a layer norm around 0 instead of the mean.
"""

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import Emitter, emitted
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.memory import flat
from tinyres_kernels.cpu.plan import PLANNERS, by_loop
from tinyres_kernels.cpu.softmax import Row, product, total
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import LayerNorm

COST = 24  # multiplications that an element is worth
NEAR = 32  # rows of which a sum is formed in the arrays' own dtype, before it is added to a float64 total
APART = 64  # numbers between what belongs to one thread and to the next

PLANNERS |= dict.fromkeys(
    ("layer_norm", "layer_norm_dx", "rms_norm", "rms_norm_dx"), by_loop(lambda x, *_: COST * prod(x))
)


@emitted
def _squares(typing, x, x0, count, centre):
    """sum_j (x[x0 + j] - centre)^2 for j < count."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, count, centre = args
        e = Row(b, signature.args[0].dtype)
        start, middle, zero = e.at(e.data(context, signature.args[0], x), x0), e.splat(centre), e.functions.number(0.0)
        place = cgutils.alloca_once_value(b, zero)
        with e.vectors(count) as (first, mask):
            apart = b.select(mask, b.fsub(e.load(e.at(start, first), mask), middle), zero)
            e.multiply_add(apart, apart, place)
        return e.reduced(b.load(place), b.fadd)

    return x.dtype(x, number, number, x.dtype), generate


@emitted
def _along(typing, g, x, at, count, weight, centre):
    """sum_j g[at + j] weight[j] (x[at + j] - centre) for j < count."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        e = Row(b, signature.args[0].dtype)
        above, start = (e.at(e.data(context, signature.args[i], args[i]), args[2]) for i in (0, 1))
        factors, middle = e.data(context, signature.args[4], args[4]), e.splat(args[5])
        place = cgutils.alloca_once_value(b, e.functions.number(0.0))
        with e.vectors(args[3]) as (first, mask):
            d = b.fmul(e.load(e.at(above, first), mask), e.load(e.at(factors, first), mask))
            e.multiply_add(d, b.fsub(e.load(e.at(start, first), mask), middle), place)
        return e.reduced(b.load(place), b.fadd)

    return g.dtype(g, x, number, number, weight, g.dtype), generate


@emitted
def _stretched(typing, x, at, count, centre, scale, weight, bias, out):
    """out[at + j] = (x[at + j] - centre) scale weight[j] + bias[j] for j < count."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, at, count, centre, scale, weight, bias, out = args
        e = Emitter(b, signature.args[0].dtype)
        start, end = e.at(e.data(context, signature.args[0], x), at), e.at(e.data(context, signature.args[7], out), at)
        factors, shifts = e.data(context, signature.args[5], weight), e.data(context, signature.args[6], bias)
        middle, stretch = e.splat(centre), e.splat(scale)
        with e.vectors(count) as (first, mask):
            unit = b.fmul(b.fsub(e.load(e.at(start, first), mask), middle), stretch)
            value = e.fused(unit, e.load(e.at(factors, first), mask), e.load(e.at(shifts, first), mask))
            e.store(value, e.at(end, first), mask)
        return context.get_dummy_value()

    return types.void(x, number, number, x.dtype, x.dtype, weight, bias, out), generate


@emitted
def _slopes(typing, g, x, at, count, weight, centre, scale, drift, along, out, near, of_weight, of_bias):
    """With c[j] = x[at + j] - centre: out[at + j] = scale (g[at + j] weight[j] - drift - c[j] along), and to
    near[of_weight + j] and near[of_bias + j] are added g[at + j] c[j] scale and g[at + j], for j < count."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        g, x, at, count, weight, centre, scale, drift, along, out, near, of_weight, of_bias = args
        e = Emitter(b, signature.args[0].dtype)
        above, start, end = (
            e.at(e.data(context, signature.args[i], a), at) for i, a in ((0, g), (1, x), (9, out))
        )  # fmt: skip
        factors, sums = e.data(context, signature.args[4], weight), e.data(context, signature.args[10], near)
        middle, stretch, shift, slope = map(e.splat, (centre, scale, drift, along))
        with e.vectors(count) as (first, mask):
            slopes = e.load(e.at(above, first), mask)
            apart = b.fsub(e.load(e.at(start, first), mask), middle)
            d = b.fsub(b.fmul(slopes, e.load(e.at(factors, first), mask)), shift)
            value = b.fmul(stretch, b.fsub(d, b.fmul(apart, slope)))
            e.store(value, e.at(end, first), mask)
            for place, term in ((of_weight, b.fmul(slopes, b.fmul(apart, stretch))), (of_bias, slopes)):
                target = e.at(sums, place, first)
                e.store(b.fadd(e.load(target, mask), term), target, mask)
        return context.get_dummy_value()

    signature = types.void(g, x, number, number, weight, *[g.dtype] * 4, out, near, number, number)
    return signature, generate


@kernel
def _row_norm(t, threads, x, weight, bias, out, mean, scale, centred, C, length, eps):
    rows, one = len(mean), x.dtype.type(1)
    for m in range(rows * t // threads, rows * (t + 1) // threads):
        centre = total(x, m * C, C) / length if centred else x.dtype.type(0)
        stretch = one / sqrt(_squares(x, m * C, C, centre) / length + eps)
        mean[m], scale[m] = centre, stretch
        _stretched(x, m * C, C, centre, stretch, weight, bias, out)


@kernel
def _row_norm_dx(t, threads, g, x, weight, mean, scale, out, near, totals, centred, C, length, width):
    rows = len(mean)
    first, last = rows * t // threads, rows * (t + 1) // threads
    of_weight, of_bias = 2 * t * width, (2 * t + 1) * width
    for j in range(of_weight, of_weight + 2 * width):
        near[j], totals[j] = 0, 0
    for begin in range(first, last, NEAR):
        for m in range(begin, min(begin + NEAR, last)):
            at, centre, stretch = m * C, mean[m], scale[m]
            drift = product(g, at, weight, 0, C) / length if centred else x.dtype.type(0)
            along = _along(g, x, at, C, weight, centre) / length * stretch * stretch
            _slopes(g, x, at, C, weight, centre, stretch, drift, along, out, near, of_weight, of_bias)
        for j in range(of_weight, of_weight + 2 * width):
            totals[j] += near[j]
            near[j] = 0


def _or(value: Array | None, default: float, like: Array) -> Array:
    return np.full(like.shape[1], default, like.dtype) if value is None else flat(value)


def _forward(x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, scale: Array, centred: bool,
             eps: float) -> None:  # fmt: skip
    C, real = x.shape[1], out.dtype.type
    given = flat(x), _or(weight, 1, out), _or(bias, 0, out)
    _row_norm(threads(COST * x.size), *given, out.reshape(-1), mean, scale, centred, C, real(C), real(eps))


def _backward(g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, out: Array,
              wanted: tuple[Array | None, Array | None], centred: bool) -> None:  # fmt: skip
    """Each thread sums over its rows, and the sums are added in order. wanted: the gradients of weight and bias."""
    C, count = x.shape[1], threads(COST * x.size)
    width = C + APART
    near, totals = np.empty(count * 2 * width, out.dtype), np.empty(count * 2 * width)
    given = flat(g), flat(x), _or(weight, 1, out), flat(mean), flat(scale)
    _row_norm_dx(count, *given, out.reshape(-1), near, totals, centred, C, out.dtype.type(C), width)
    summed = totals.reshape(count, 2, width).sum(axis=0)
    for found, sums in zip(wanted, summed, strict=True):
        if found is not None:
            found[...] = sums[:C]


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, scale: Array, s: LayerNorm
) -> None:
    """`reference.layer_norm` in one pass."""
    _forward(x, weight, bias, out, mean, scale, True, s.eps)


def layer_norm_dx(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, out: Array, dweight: Array | None,
    dbias: Array | None, s: LayerNorm,
) -> None:  # fmt: skip
    """`reference.layer_norm_dx` in one pass."""
    _backward(g, x, weight, mean, scale, out, (dweight, dbias), True)


def rms_norm(x: Array, weight: Array | None, out: Array, scale: Array, s: LayerNorm) -> None:
    """`reference.rms_norm` in one pass."""
    _forward(x, weight, None, out, np.empty_like(scale), scale, False, s.eps)


def rms_norm_dx(
    g: Array, x: Array, weight: Array | None, scale: Array, out: Array, dweight: Array | None, s: LayerNorm
) -> None:
    """`reference.rms_norm_dx` in one pass."""
    _backward(g, x, weight, np.zeros_like(scale), scale, out, (dweight, None), False)
