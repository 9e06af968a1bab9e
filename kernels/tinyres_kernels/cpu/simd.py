"""The micro-kernels: a tile of sums held in vector registers, written as LLVM instructions.

Numba's loops do not keep a two-dimensional tile of accumulators in registers; a direct convolution that keeps up with a
vendor's library must do so. So the two innermost loops are emitted by hand:

    dot_tile    sum over taps:   acc[m, v] += x[pixel m, tap k] * w[tap k, channels v]      (forward, and dx)
    row_tile    the same for three taps next to each other and one vector of channels
    outer_tile  sum over pixels: acc[j, v] += x[pixel, tap j]   * g[pixel, channels v]      (dw)
    outer_row   the same for three taps next to each other, of one or several rows, and one vector of channels
    largest_tap the largest of some taps, and which it is       (max pooling)

Each step loads a row of vectors, broadcasts one number at a time and issues fused multiply-adds. Accumulators are
`alloca`s that LLVM promotes to registers, so that the text below is a plain loop nest.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I64, Emitter, emitted

AHEAD = 64  # rows of weights that are fetched ahead: a panel that comes from another cache is there when its turn comes


def dot_tile(pixels: int, vectors: int) -> Any:
    """out[pixel m, lane] =
        sum_{r, c, k < run} x[x0 + place(m) + r x_row + c x_col + k] * w[w0 + ((r columns + c) w_tap + k) wide + lane]

    where wide = vectors * lanes; w_tap is larger than run where a part of the channels is summed. The first half of
    the pixels lie x_step apart, the second half likewise from x_jump on (so that a tile may cover two short rows); out
    likewise. Of each row of vectors the first `tail` numbers are stored; with `add` they are added to what is there.
    """
    half = (pixels + 1) // 2

    @emitted
    def tile(
        typing,
        x,
        x0,
        x_step,
        x_jump,
        rows,
        x_row,
        columns,
        x_col,
        run,
        w,
        w0,
        w_tap,
        out,
        o0,
        o_step,
        o_jump,
        tail,
        add,
    ):
        number = types.intp
        signature = types.void(x, *[number] * 8, w, *[number] * 2, out, *[number] * 4, types.boolean)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            (x, x0, x_step, x_jump, rows, x_row, columns, x_col, run, w, w0, w_tap, out, o0, o_step, o_jump, tail,
             add) = args  # fmt: skip
            e = Emitter(b, signature.args[0].dtype)
            lanes = e.lanes
            weights = b.gep(e.data(context, signature.args[9], w), [w0])
            corner = b.gep(e.data(context, signature.args[0], x), [x0])
            acc = e.accumulators(pixels, vectors)

            def place(m: int, step: Any, jump: Any) -> Any:
                inside = b.mul(step, ir.Constant(I64, m % half))
                return b.add(inside, jump) if m >= half else inside

            places = [place(m, x_step, x_jump) for m in range(pixels)]
            panel = cgutils.alloca_once_value(b, weights)
            with cgutils.for_range(b, rows) as r, cgutils.for_range(b, columns) as c:
                start = e.at(corner, b.mul(r.index, x_row), b.mul(c.index, x_col))
                pixel = [b.gep(start, [p]) for p in places]
                first = b.load(panel)
                with cgutils.for_range(b, run) as k:
                    row = b.gep(first, [b.mul(k.index, ir.Constant(I64, vectors * lanes))])
                    w_row = [e.load(e.at(row, v * lanes)) for v in range(vectors)]
                    for v in range(vectors):
                        e.fetch(e.at(row, (AHEAD * vectors + v) * lanes))
                    for m in range(pixels):
                        value = e.broadcast(b.gep(pixel[m], [k.index]))
                        for v in range(vectors):
                            e.multiply_add(value, w_row[v], acc[m][v])
                b.store(b.gep(first, [b.mul(w_tap, ir.Constant(I64, vectors * lanes))]), panel)
            masks = e.masks(tail, vectors)
            result = b.gep(e.data(context, signature.args[12], out), [o0])
            targets = [b.gep(result, [place(m, o_step, o_jump)]) for m in range(pixels)]
            e.finish(acc, [[e.at(target, v * lanes) for v in range(vectors)] for target in targets], masks, add)
            return context.get_dummy_value()

        return signature, generate

    return tile


def row_tile(pixels: int) -> Any:
    """out[o0 + m o_step + lane] =
        sum_{r, c < 3, k < run} x[x0 + r x_row + (m + c) x_step + k] * w[w0 + ((3 r + c) w_tap + k) lanes + lane]

    for pixels m next to each other. With one vector of channels `dot_tile` waits for its loads, one for each
    multiply-add; here a number that was broadcast is multiplied by the weights of all three taps that read it.
    """

    @emitted
    def tile(typing, x, x0, x_step, rows, x_row, run, w, w0, w_tap, out, o0, o_step, tail, add):
        number = types.intp
        signature = types.void(x, *[number] * 5, w, *[number] * 2, out, *[number] * 3, types.boolean)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            x, x0, x_step, rows, x_row, run, w, w0, w_tap, out, o0, o_step, tail, add = args
            e = Emitter(b, signature.args[0].dtype)
            weights = b.gep(e.data(context, signature.args[6], w), [w0])
            corner = b.gep(e.data(context, signature.args[0], x), [x0])
            acc = e.accumulators(pixels, 1)
            tap = b.mul(w_tap, ir.Constant(I64, e.lanes))
            with cgutils.for_range(b, rows) as r:
                start = e.at(corner, b.mul(r.index, x_row))
                panel = b.gep(weights, [b.mul(r.index, b.mul(tap, ir.Constant(I64, 3)))])
                with cgutils.for_range(b, run) as k:
                    row = b.gep(panel, [b.mul(k.index, ir.Constant(I64, e.lanes))])
                    taps = [e.load(b.gep(row, [b.mul(tap, ir.Constant(I64, c))])) for c in range(3)]
                    first = b.gep(start, [k.index])
                    for j in range(pixels + 2):
                        value = e.broadcast(b.gep(first, [b.mul(x_step, ir.Constant(I64, j))]))
                        for c in range(3):
                            if 0 <= j - c < pixels:
                                e.multiply_add(value, taps[c], acc[j - c][0])
            result = b.gep(e.data(context, signature.args[9], out), [o0])
            targets = [[b.gep(result, [b.mul(o_step, ir.Constant(I64, m))])] for m in range(pixels)]
            e.finish(acc, targets, e.masks(tail, 1), add)
            return context.get_dummy_value()

        return signature, generate

    return tile


def outer_tile(taps: int, vectors: int) -> Any:
    """sums[s0 + j s_step + lane] += sum_{n, p} x[x0 + n x_image + places[p] + j] * g[g0 + n g_image + p g_step + lane]

    for j < taps, over images n and pixels p: one loop over a table of places, since a row may be but four pixels long.
    Of each row of g the first `tail` numbers are read, the others count as 0.
    """

    @emitted
    def tile(typing, images, places, x, x0, x_image, g, g0, g_image, g_step, sums, s0, s_step, tail):
        number = types.intp
        signature = types.void(number, places, x, number, number, g, *[number] * 3, sums, *[number] * 3)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            images, places, x, x0, x_image, g, g0, g_image, g_step, sums, s0, s_step, tail = args
            e = Emitter(b, signature.args[2].dtype)
            lanes = e.lanes
            table = context.make_array(signature.args[1])(context, b, places)
            count = b.extract_value(table.shape, 0)
            x_start = b.gep(e.data(context, signature.args[2], x), [x0])
            g_start = b.gep(e.data(context, signature.args[5], g), [g0])
            acc, masks = e.accumulators(taps, vectors), e.masks(tail, vectors)
            total = b.gep(e.data(context, signature.args[9], sums), [s0])
            lines = [b.gep(total, [b.mul(s_step, ir.Constant(I64, j))]) for j in range(taps)]
            targets = [[e.at(line, v * lanes) for v in range(vectors)] for line in lines]
            for target in (target for line in targets for target in line):
                e.fetch(target)  # in time for the end
            with cgutils.for_range(b, images) as n:
                x_line, g_line = e.at(x_start, b.mul(n.index, x_image)), e.at(g_start, b.mul(n.index, g_image))
                with cgutils.for_range(b, count) as p:
                    pixel = b.gep(x_line, [b.load(b.gep(table.data, [p.index]))])
                    g_row = b.gep(g_line, [b.mul(p.index, g_step)])
                    loaded = [e.load(e.at(g_row, v * lanes), masks[v]) for v in range(vectors)]
                    for j in range(taps):
                        value = e.broadcast(e.at(pixel, j))
                        for v in range(vectors):
                            e.multiply_add(value, loaded[v], acc[j][v])
            for line, row in zip(targets, acc, strict=True):
                for target, place in zip(line, row, strict=True):
                    e.store(b.fadd(e.load(target), b.load(place)), target)
            return context.get_dummy_value()

        return signature, generate

    return tile


def outer_row(kernel_rows: int, channels: int) -> Any:
    """sums[s0 + k s_row + c s_tap + j s_step + lane] += sum_{n, r, p}
        x[x0 + n x_image + r x_row + k x_below + (p + c) x_step + j] * g[g0 + n g_image + r g_row + p g_step + lane]

    for k < kernel_rows, the taps c < 3 of a row of the kernel and j < channels, over images n, rows r and `columns`
    pixels p (two at least) next to each other. A number that was broadcast is multiplied with all three pixels of g
    that it belongs to. At the ends of a row it belongs to fewer: they are left out, not multiplied by 0, which would
    spread NaN. Without `ends` the first pixel of x and the last are not read: they are padding.
    """

    @emitted
    def tile(typing, images, rows, columns, x, x0, x_image, x_row, x_below, x_step, g, g0, g_image, g_row, g_step,
             sums, s0, s_row, s_tap, s_step, tail, ends):  # fmt: skip
        number = types.intp
        signature = types.void(*[number] * 3, x, *[number] * 5, g, *[number] * 4, sums, *[number] * 5, types.boolean)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            (images, rows, columns, x, x0, x_image, x_row, x_below, x_step, g, g0, g_image, g_row, g_step, sums, s0,
             s_row, s_tap, s_step, tail, ends) = args  # fmt: skip
            e = Emitter(b, signature.args[3].dtype)
            x_start = b.gep(e.data(context, signature.args[3], x), [x0])
            g_start = b.gep(e.data(context, signature.args[9], g), [g0])
            acc, (mask,) = e.accumulators(3 * kernel_rows, channels), e.masks(tail, 1)
            before = [cgutils.alloca_once(b, e.vector) for _ in range(2)]  # the two pixels of g to the left

            def step(x_line: Any, g_line: Any, p: Any, taps: Sequence[int]) -> None:
                """One pixel of x, for these taps: tap c goes with the pixel of g that lies c to the left."""
                values = [None, b.load(before[0]), b.load(before[1])]
                if 0 in taps:
                    values[0] = e.load(b.gep(g_line, [b.mul(p, g_step)]), mask)
                for k in range(kernel_rows):
                    pixel = e.at(x_line, b.mul(x_below, ir.Constant(I64, k)), b.mul(p, x_step))
                    for j in range(channels):
                        value = e.broadcast(e.at(pixel, j))
                        for c in taps:
                            e.multiply_add(value, values[c], acc[3 * k + c][j])
                        e.wait()
                b.store(values[1], before[1])
                if 0 in taps:
                    b.store(values[0], before[0])

            with cgutils.for_range(b, images) as n, cgutils.for_range(b, rows) as r:
                lines = (
                    e.at(x_start, b.mul(n.index, x_image), b.mul(r.index, x_row)),
                    e.at(g_start, b.mul(n.index, g_image), b.mul(r.index, g_row)),
                )
                with b.if_else(ends) as (read, left_out):
                    with read:
                        step(*lines, ir.Constant(I64, 0), (0,))
                    with left_out:
                        b.store(e.load(lines[1], mask), before[0])
                step(*lines, ir.Constant(I64, 1), (0, 1))
                with cgutils.for_range(b, b.sub(columns, ir.Constant(I64, 2))) as p:
                    step(*lines, b.add(p.index, ir.Constant(I64, 2)), (0, 1, 2))
                step(*lines, columns, (1, 2))
                with b.if_then(ends):
                    step(*lines, b.add(columns, ir.Constant(I64, 1)), (2,))
            total = b.gep(e.data(context, signature.args[14], sums), [s0])
            for k, c, j in product(range(kernel_rows), range(3), range(channels)):
                steps = ((s_row, k), (s_tap, c), (s_step, j))
                target = e.at(total, *(b.mul(step, ir.Constant(I64, count)) for step, count in steps))
                e.store(b.fadd(e.load(target), b.load(acc[3 * k + c][j])), target)
            return context.get_dummy_value()

        return signature, generate

    return tile


@emitted
def largest_tap(typing, x, x0, rows, x_row, columns, x_col, first, step, channels, out, index, o0):
    """out[o0 + c] = max_{r < rows, k < columns} x[x0 + r x_row + k x_col + c], in index its tap, first + r step + k.
    The first of equal ones wins, and a NaN wins over all."""
    number = types.intp
    signature = types.void(x, *[number] * 8, out, index, number)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, x0, rows, x_row, columns, x_col, first, step, channels, out, index, o0 = args
        e = Emitter(b, signature.args[0].dtype)
        corner = e.at(e.data(context, signature.args[0], x), x0)
        values = e.at(e.data(context, signature.args[9], out), o0)
        places = e.at(e.data(context, signature.args[10], index), o0)
        with e.vectors(channels) as (c, lanes):
            best = cgutils.alloca_once_value(b, e.load(e.at(corner, c), lanes))
            where = cgutils.alloca_once_value(b, e.whole(first))
            with cgutils.for_range(b, rows) as r, cgutils.for_range(b, columns) as k:
                value = e.load(e.at(corner, c, b.mul(r.index, x_row), b.mul(k.index, x_col)), lanes)
                tap = e.whole(b.add(first, b.add(b.mul(r.index, step), k.index)))
                old = b.load(best)
                nan = b.and_(b.fcmp_unordered("uno", value, value), b.fcmp_ordered("ord", old, old))
                wins = b.or_(b.fcmp_ordered(">", value, old), nan)
                b.store(b.select(wins, value, old), best)
                b.store(b.select(wins, tap, b.load(where)), where)
            e.store(b.load(best), e.at(values, c), lanes)
            e.store_whole(b.load(where), e.at(places, c), lanes)
        return context.get_dummy_value()

    return signature, generate
