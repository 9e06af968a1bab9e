"""The micro-kernels of convolutions in small groups: lanes are channels, of one group or of several.

    depth_tile   sum over taps and channels i of a group:   acc[pixel, c]  += x[pixel, tap, i of c] * w[tap, i, c]
    depth_sums   sum over pixels:                           acc[tap, i, c] += x[pixel, tap, i of c] * g[pixel, c]

where "i of c" is the i-th channel of the group that c belongs to: in a vector of x it is put on all lanes of its group.
How many channels a group has is known when they are compiled: it is the length of the tuple `group`. They run over all
channels, some vectors at a time; what is left over is taken one vector at a time, behind a mask.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I64, Emitter, emitted


def _over(e: Emitter, channels: Any, vectors: int, body: Callable[[Any, list[Any]], None]) -> None:
    """body(first channel, masks) for groups of full vectors, then for single ones."""
    b, wide = e.b, ir.Constant(I64, vectors * e.lanes)
    groups = b.sdiv(channels, wide)
    with cgutils.for_range(b, groups) as group:
        body(b.mul(group.index, wide), [None] * vectors)
    done = b.mul(groups, wide)
    with e.vectors(b.sub(channels, done)) as (first, mask):
        body(b.add(done, first), [mask])


def _by_place(e: Emitter, value: Any, size: int) -> list[Any]:
    """For each i < size: channel i of a group on all lanes of the group."""
    if size == 1:
        return [value]
    places = [[lane // size * size + i for lane in range(e.lanes)] for i in range(size)]
    return [e.b.shuffle_vector(value, value, ir.Constant(e.numbers, place)) for place in places]


def depth_tile(pixels: int, vectors: int) -> Any:
    """out[o0 + p o_step + c] =
        sum_{r < rows, q < columns, i} x[x0 + p x_step + r x_row + q x_col + i of c]
                                       * w[w0 + r w_row + q w_col + i channels + c]

    for p < pixels and c < channels.
    """

    @emitted
    def tile(typing, x, x0, x_step, rows, x_row, columns, x_col, w, w0, w_row, w_col, out, o0, o_step, channels,
             group):  # fmt: skip
        number = types.intp
        signature = types.void(x, *[number] * 6, w, *[number] * 3, out, *[number] * 3, group)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            x, x0, x_step, rows, x_row, columns, x_col, w, w0, w_row, w_col, out, o0, o_step, channels, _ = args
            size = len(signature.args[-1])
            e = Emitter(b, signature.args[0].dtype)
            corner = e.at(e.data(context, signature.args[0], x), x0)
            weights = e.at(e.data(context, signature.args[7], w), w0)
            target = e.at(e.data(context, signature.args[11], out), o0)

            def body(first: Any, masks: list[Any]) -> None:
                acc = e.accumulators(pixels, len(masks))
                with cgutils.for_range(b, rows) as r, cgutils.for_range(b, columns) as q:
                    tap = e.at(weights, first, b.mul(r.index, w_row), b.mul(q.index, w_col))
                    weighted = [e.at(tap, b.mul(channels, ir.Constant(I64, i))) for i in range(size)]
                    loaded = [[e.load(e.at(at, v * e.lanes), mask) for at in weighted] for v, mask in enumerate(masks)]
                    window = e.at(corner, first, b.mul(r.index, x_row), b.mul(q.index, x_col))
                    for p in range(pixels):
                        pixel = e.at(window, b.mul(x_step, ir.Constant(I64, p)))
                        for v, mask in enumerate(masks):
                            values = _by_place(e, e.load(e.at(pixel, v * e.lanes), mask), size)
                            for value, weight in zip(values, loaded[v], strict=True):
                                e.multiply_add(value, weight, acc[p][v])
                for p in range(pixels):
                    pixel = e.at(target, first, b.mul(o_step, ir.Constant(I64, p)))
                    for v, mask in enumerate(masks):
                        e.store(b.load(acc[p][v]), e.at(pixel, v * e.lanes), mask)

            _over(e, channels, vectors, body)
            return context.get_dummy_value()

        return signature, generate

    return tile


def depth_sums(taps: int, vectors: int) -> Any:
    """sums[s0 + q s_tap + i channels + c] +=
        sum_{r < rows, p < columns} x[x0 + r x_row + p x_step + q x_col + i of c] * g[g0 + r g_row + p g_step + c]

    for q < taps and c < channels.
    """

    @emitted
    def tile(typing, rows, columns, x, x0, x_row, x_step, x_col, g, g0, g_row, g_step, sums, s0, s_tap, channels,
             group):  # fmt: skip
        number = types.intp
        signature = types.void(number, number, x, *[number] * 4, g, *[number] * 3, sums, *[number] * 3, group)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            rows, columns, x, x0, x_row, x_step, x_col, g, g0, g_row, g_step, sums, s0, s_tap, channels, _ = args
            size = len(signature.args[-1])
            e = Emitter(b, signature.args[2].dtype)
            x_start = e.at(e.data(context, signature.args[2], x), x0)
            g_start = e.at(e.data(context, signature.args[7], g), g0)
            total = e.at(e.data(context, signature.args[11], sums), s0)

            def body(first: Any, masks: list[Any]) -> None:
                acc = e.accumulators(taps * size, len(masks))
                with cgutils.for_range(b, rows) as r, cgutils.for_range(b, columns) as p:
                    pixel = e.at(x_start, first, b.mul(r.index, x_row), b.mul(p.index, x_step))
                    place = e.at(g_start, first, b.mul(r.index, g_row), b.mul(p.index, g_step))
                    loaded = [e.load(e.at(place, v * e.lanes), mask) for v, mask in enumerate(masks)]
                    for q in range(taps):
                        tap = e.at(pixel, b.mul(x_col, ir.Constant(I64, q)))
                        for v, mask in enumerate(masks):
                            for i, value in enumerate(_by_place(e, e.load(e.at(tap, v * e.lanes), mask), size)):
                                e.multiply_add(value, loaded[v], acc[q * size + i][v])
                for q, i in product(range(taps), range(size)):
                    row = b.add(b.mul(s_tap, ir.Constant(I64, q)), b.mul(channels, ir.Constant(I64, i)))
                    for v, mask in enumerate(masks):
                        at = e.at(total, first, row, v * e.lanes)
                        e.store(b.fadd(e.load(at, mask), b.load(acc[q * size + i][v])), at, mask)

            _over(e, channels, vectors, body)
            return context.get_dummy_value()

        return signature, generate

    return tile
