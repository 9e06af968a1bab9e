"""What attention does beside its products, in vectors: layouts of a head, rows of weights, sums over queries.

A row of weights is followed by zeros, as far as the keys of a block go: products then need not know what a mask hides.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I1, I32, I64, Emitter, emitted
from tinyres_kernels.cpu.host import TARGET
from tinyres_kernels.cpu.softmax import Row

HIGH = TARGET.pixels[2][0]  # keys of which sums over queries are kept in registers


def _up(b: ir.IRBuilder, e: Emitter, count: Any) -> Any:
    """How many vectors hold so many numbers."""
    return b.sdiv(b.add(count, ir.Constant(I64, e.lanes - 1)), ir.Constant(I64, e.lanes))


def _clear(b: ir.IRBuilder, e: Emitter, lines: Sequence[Any], done: Any, count: Any) -> None:
    """Zeros behind the vectors that hold the first `done` numbers, to the end of the one that holds the last."""
    zero = ir.Constant(e.vector, [0.0] * e.lanes)
    loop = cgutils.for_range_slice(b, _up(b, e, done), _up(b, e, count), ir.Constant(I64, 1), I64)
    with loop as (v, _):
        for line in lines:
            e.store(zero, e.at(line, b.mul(v, ir.Constant(I64, e.lanes))))


@emitted
def weights(typing, x, x0, seen, count, top):
    """x[x0 + j] = exp(x[x0 + j] - top) for j < seen, and 0 for the others up to count; their sum."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, seen, count, top = args
        e = Row(b, signature.args[0].dtype)
        line, above, zero = e.at(e.data(context, signature.args[0], x), x0), e.splat(top), e.functions.number(0.0)
        place = cgutils.alloca_once_value(b, zero)
        with e.vectors(seen) as (first, mask):
            at = e.at(line, first)
            value = b.select(mask, e.functions.exp(b.fsub(e.load(at), above)), zero)
            e.store(value, at)
            b.store(b.fadd(b.load(place), value), place)
        _clear(b, e, (line,), seen, count)
        return e.reduced(b.load(place), b.fadd)

    return x.dtype(x, number, number, number, x.dtype), generate


@emitted
def slopes(typing, x, x0, d0, seen, count, top, inner):
    """As `weights`; and x[d0 + j] = x[x0 + j] (x[d0 + j] - inner), also followed by zeros."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, d0, seen, count, top, inner = args
        e = Row(b, signature.args[0].dtype)
        start = e.data(context, signature.args[0], x)
        line, slope = e.at(start, x0), e.at(start, d0)
        above, less, zero = e.splat(top), e.splat(inner), e.functions.number(0.0)
        with e.vectors(seen) as (first, mask):
            at, there = e.at(line, first), e.at(slope, first)
            value = b.select(mask, e.functions.exp(b.fsub(e.load(at), above)), zero)
            e.store(value, at)
            e.store(b.select(mask, b.fmul(value, b.fsub(e.load(there), less)), zero), there)
        _clear(b, e, (line, slope), seen, count)
        return context.get_dummy_value()

    return types.void(x, *[number] * 4, x.dtype, x.dtype), generate


@emitted
def scaled(typing, x, x0, step, rows, size, scale, out, o0, o_step):
    """out[o0 + r o_step + c] = scale x[x0 + r step + c] for r < rows, c < size."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, step, rows, size, scale, out, o0, o_step = args
        e = Emitter(b, signature.args[0].dtype)
        start, end = e.at(e.data(context, signature.args[0], x), x0), e.at(e.data(context, signature.args[6], out), o0)
        factor = e.splat(scale)
        with e.vectors(size) as (first, mask), cgutils.for_range(b, rows) as r:
            value = e.load(e.at(start, b.mul(r.index, step), first), mask)
            e.store(b.fmul(value, factor), e.at(end, b.mul(r.index, o_step), first), mask)
        return context.get_dummy_value()

    return types.void(x, *[number] * 4, x.dtype, out, number, number), generate


@emitted
def in_panels(typing, x, x0, step, rows, size, scale, out, o0):
    """Rows of x, cut into panels as wide as two vectors: out[o0 + (c // wide rows + r) wide + c % wide] =
    scale x[x0 + r step + c] for c < size, then 0."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, step, rows, size, scale, out, o0 = args
        e = Emitter(b, signature.args[0].dtype)
        start, end = e.at(e.data(context, signature.args[0], x), x0), e.at(e.data(context, signature.args[6], out), o0)
        factor, wide = e.splat(scale), ir.Constant(I64, 2 * e.lanes)
        panels = b.sdiv(b.add(size, ir.Constant(I64, 2 * e.lanes - 1)), wide)
        with cgutils.for_range(b, panels) as p:
            first = b.mul(p.index, wide)
            masks, panel = e.masks(b.sub(size, first), 2), e.at(end, b.mul(first, rows))
            with cgutils.for_range(b, rows) as r:
                source = e.at(start, b.mul(r.index, step), first)
                target = e.at(panel, b.mul(r.index, wide))
                for v, mask in enumerate(masks):
                    e.store(b.fmul(e.load(e.at(source, v * e.lanes), mask), factor), e.at(target, v * e.lanes))
        return context.get_dummy_value()

    return types.void(x, *[number] * 4, x.dtype, out, number), generate


def _turned(b: ir.IRBuilder, lines: list[Any]) -> list[Any]:
    """As many vectors as each has lanes, as columns: halves of them change places, then quarters, and so on."""
    lanes, apart = len(lines), 1
    while apart < lanes:
        first, second = list[int](), list[int]()
        for lane in range(lanes):
            stays = not lane & apart
            first.append(lane if stays else lanes + lane - apart)
            second.append(lane + apart if stays else lanes + lane)
        picks = [ir.Constant(ir.VectorType(I32, lanes), places) for places in (first, second)]
        for i in range(lanes):
            if not i & apart:
                pair = lines[i], lines[i + apart]
                lines[i], lines[i + apart] = (b.shuffle_vector(*pair, pick) for pick in picks)
        apart *= 2
    return lines


@emitted
def columns(typing, x, x0, step, rows, size, out, o0):
    """Rows of x as columns of panels: out[o0 + (r // wide size + e) wide + r % wide] = x[x0 + r step + e] for r < rows
    and e < size, then 0, where a panel is as wide as two vectors."""
    number = types.intp

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, step, rows, size, out, o0 = args
        e = Emitter(b, signature.args[0].dtype)
        start, end = e.at(e.data(context, signature.args[0], x), x0), e.at(e.data(context, signature.args[5], out), o0)
        one, lanes, wide = (ir.Constant(I64, n) for n in (1, e.lanes, 2 * e.lanes))
        none = ir.Constant(e.mask_type, [False] * e.lanes)
        halves = b.mul(b.sdiv(b.add(rows, ir.Constant(I64, 2 * e.lanes - 1)), wide), ir.Constant(I64, 2))
        with cgutils.for_range(b, halves) as half, e.vectors(size) as (first, mask):
            above = b.mul(half.index, lanes)
            source = e.at(start, b.mul(above, step), first)
            lines = []
            for m in range(e.lanes):
                there = b.icmp_signed("<", b.add(above, ir.Constant(I64, m)), rows)
                line = e.at(source, b.mul(step, ir.Constant(I64, m)))
                lines.append(e.load(line, b.select(there, mask, none)))
            panel = b.mul(b.mul(b.ashr(half.index, one), size), wide)
            target = e.at(end, panel, b.mul(b.and_(half.index, one), lanes), b.mul(first, wide))
            for m, column in enumerate(_turned(b, lines)):
                with b.if_then(b.icmp_signed("<", b.add(first, ir.Constant(I64, m)), size)):
                    e.store(column, e.at(target, b.mul(wide, ir.Constant(I64, m))))
        return context.get_dummy_value()

    return types.void(x, *[number] * 4, out, number), generate


@emitted
def summed(typing, rows, x, x0, x_step, g, g0, g_step, out, o0, o_step, high, tail):
    """out[o0 + m o_step + lane] += sum_{r < rows} x[x0 + r x_step + m] g[g0 + r g_step + lane], m < high, lane < tail.
    It reads HIGH numbers of a row of x, whatever `high`."""
    number = types.intp
    signature = types.void(number, x, number, number, g, number, number, out, *[number] * 4)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        rows, x, x0, x_step, g, g0, g_step, out, o0, o_step, high, tail = args
        e = Emitter(b, signature.args[1].dtype)
        left, right = e.at(e.data(context, signature.args[1], x), x0), e.at(e.data(context, signature.args[4], g), g0)
        acc, masks = e.accumulators(HIGH, 2), e.masks(tail, 2)
        with cgutils.for_range(b, rows) as r:
            line, column = e.at(right, b.mul(r.index, g_step)), e.at(left, b.mul(r.index, x_step))
            loaded = [e.load(e.at(line, v * e.lanes), masks[v]) for v in range(2)]
            for m in range(HIGH):
                value = e.broadcast(e.at(column, m))
                for v in range(2):
                    e.multiply_add(value, loaded[v], acc[m][v])
        start = e.at(e.data(context, signature.args[7], out), o0)
        for m in range(HIGH):
            with b.if_then(b.icmp_signed("<", ir.Constant(I64, m), high)):
                place = e.at(start, b.mul(o_step, ir.Constant(I64, m)))
                e.finish([acc[m]], [[e.at(place, v * e.lanes) for v in range(2)]], masks, ir.Constant(I1, 1))
        return context.get_dummy_value()

    return signature, generate
