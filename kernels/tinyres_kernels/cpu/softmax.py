"""A row of numbers, a vector at a time: its largest, the exponentials of what the others are below that, and sums."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.elementary import Elementary
from tinyres_kernels.cpu.emit import I32, Emitter, emitted


class Row(Emitter):
    """With exponentials, and all lanes of a vector as one."""

    def __init__(self, builder: ir.IRBuilder, scalar: Any) -> None:
        super().__init__(builder, scalar)
        self.functions = Elementary(builder, scalar, self.lanes)

    def reduced(self, value: Any, combine: Any) -> Any:
        """All lanes as one, by halves."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            places = [(i + lanes) % self.lanes for i in range(self.lanes)]
            turned = self.b.shuffle_vector(value, value, ir.Constant(ir.VectorType(I32, self.lanes), places))
            value = combine(value, turned)
        return self.b.extract_element(value, ir.Constant(I32, 0))


@emitted
def largest(typing, x, x0, count):
    """max x[x0 : x0 + count]. Of a NaN it takes no notice."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, count = args
        e = Row(b, signature.args[0].dtype)
        start = e.at(e.data(context, signature.args[0], x), x0)
        least = e.functions.number(float("-inf"))
        place = cgutils.alloca_once_value(b, least)

        def larger(a: Any, c: Any) -> Any:
            return e.functions.either(">", a, c)

        with e.vectors(count) as (first, mask):
            value = b.select(mask, e.load(e.at(start, first), mask), least)
            b.store(larger(value, b.load(place)), place)
        return e.reduced(b.load(place), larger)

    return x.dtype(x, number, number), generate


@emitted
def exponentials(typing, x, x0, count, top, out, o0):
    """out[o0 + j] = exp(x[x0 + j] - top) for j < count; their sum."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, count, top, out, o0 = args
        e = Row(b, signature.args[0].dtype)
        start = e.at(e.data(context, signature.args[0], x), x0)
        end = e.at(e.data(context, signature.args[4], out), o0)
        zero, above = e.functions.number(0.0), e.splat(top)
        place = cgutils.alloca_once_value(b, zero)
        with e.vectors(count) as (first, mask):
            value = e.functions.exp(b.fsub(e.load(e.at(start, first), mask), above))
            e.store(value, e.at(end, first), mask)
            b.store(b.fadd(b.load(place), b.select(mask, value, zero)), place)
        return e.reduced(b.load(place), b.fadd)

    return x.dtype(x, number, number, x.dtype, x, number), generate


@emitted
def product(typing, a, a0, b, b0, count):
    """sum_j a[a0 + j] b[b0 + j] for j < count."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        e = Row(b, signature.args[0].dtype)
        lines = [e.at(e.data(context, signature.args[i], args[i]), args[i + 1]) for i in (0, 2)]
        place = cgutils.alloca_once_value(b, e.functions.number(0.0))
        with e.vectors(args[4]) as (first, mask):
            first_of, second = (e.load(e.at(line, first), mask) for line in lines)
            e.multiply_add(first_of, second, place)
        return e.reduced(b.load(place), b.fadd)

    return a.dtype(a, number, b, number, number), generate


@emitted
def total(typing, x, at, count):
    """sum x[at : at + count]."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        e = Row(b, signature.args[0].dtype)
        start = e.at(e.data(context, signature.args[0], args[0]), args[1])
        place = cgutils.alloca_once_value(b, e.functions.number(0.0))
        with e.vectors(args[2]) as (first, mask):
            b.store(b.fadd(b.load(place), e.load(e.at(start, first), mask)), place)
        return e.reduced(b.load(place), b.fadd)

    return x.dtype(x, number, number), generate
