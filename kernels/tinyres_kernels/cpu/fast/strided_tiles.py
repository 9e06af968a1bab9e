"""The transforms of Winograd's convolution F(2x2, 2x2), written as LLVM instructions.

A tile of 2x2 outputs reads 3x3 pixels d and a 2x2 kernel w:

    y = A^T [ (A w A^T) * (B^T d B) ] A        (* element by element, summed over input channels: a matrix product
                                                for each of the 9 places)

    B^T = 1 -1  0     A = 1  0
          0  1  0         1  1
          0 -1  1         0  1

    input_tiles  B^T d B         spread_tiles  A w A^T of kernels, A g A^T of cotangents (for dw)
                                 gather_tiles  its adjoint A^T m A, which makes outputs, and kernels for dw
    transpose    swaps two axes, so that the kernel's rows run along the lanes for dx, too

Lanes are channels, as in `tiles.py`. Pixels need not be neighbours: phases take every second one.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I32, I64, emitted
from tinyres_kernels.cpu.fast.tiles import Row


def _int(value: int) -> Any:
    return ir.Constant(I64, value)


@emitted
def input_tiles(typing, x, image, h, w, step, H, W, C, zeros, tiles, v, v0, v_place, v_tile):
    """v[v0 + place v_place + t v_tile + c] = (B^T d B)[place, c]; d[i, j] is pixel (h + i step, w + (2 t + j) step).

    `image`: where the image begins in x. What lies outside of it is 0; zeros: an array of W C zeros.
    """
    number = types.intp
    signature = types.void(x, *[number] * 7, zeros, number, v, *[number] * 3)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, image, h, w, step, H, W, C, zeros, tiles, v, v0, v_place, v_tile = args
        e = Row(b, signature.args[0].dtype)
        data, nothing = e.data(context, signature.args[0], x), e.data(context, signature.args[8], zeros)
        below = [b.add(h, b.mul(step, _int(i))) for i in range(3)]
        rows = [e.row_pointer(data, nothing, image, at, H, b.mul(W, C)) for at in below]
        target = b.gep(e.data(context, signature.args[10], v), [v0])
        left = e.variables(3)

        def column(at: Any, lanes: Any, c: Any) -> list[Any]:
            """B^T applied to one column of pixels."""
            mask = e.only_if(e.inside(at, W), lanes)
            offset = b.add(b.mul(at, C), c)
            d = [e.load(b.gep(row, [offset]), mask) for row in rows]
            return [e.sub(d[0], d[1]), d[1], e.sub(d[2], d[1])]

        with e.vectors(C) as (c, lanes):
            for place, value in zip(left, column(w, lanes, c), strict=True):
                b.store(value, place)
            with cgutils.for_range(b, tiles) as t:
                at = b.add(w, b.mul(step, b.mul(t.index, _int(2))))
                second, third = (column(b.add(at, b.mul(step, _int(k))), lanes, c) for k in (1, 2))
                tile = b.gep(target, [b.add(c, b.mul(t.index, v_tile))])
                for i in range(3):
                    row = [e.sub(b.load(left[i]), second[i]), second[i], e.sub(third[i], second[i])]
                    for j, value in enumerate(row):
                        e.store(value, b.gep(tile, [b.mul(v_place, _int(3 * i + j))]))
                    b.store(third[i], left[i])
        return context.get_dummy_value()

    return signature, generate


@emitted
def spread_tiles(typing, g, at, row, pixel, step, H, W, C, padded, tiles, v, v0, v_place, v_tile):
    """v[v0 + place v_place + t v_tile + c] = (A a A^T)[place, c] where a[i, j] = g[at + t step + i row + j pixel + c].

    0 where i >= H, or 2 t + j >= W, or C <= c < padded.
    """
    number = types.intp
    signature = types.void(g, *[number] * 9, v, *[number] * 3)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        g, at, row, pixel, step, H, W, C, padded, tiles, v, v0, v_place, v_tile = args
        e = Row(b, signature.args[0].dtype)
        upper = b.gep(e.data(context, signature.args[0], g), [at])
        second = b.icmp_signed(">=", H, _int(2))
        lower = b.gep(upper, [b.select(second, row, _int(0))])
        target = b.gep(e.data(context, signature.args[10], v), [v0])

        def spread(a: Any, c: Any) -> list[Any]:
            """A applied to a pair."""
            return [a, e.add(a, c), c]

        with e.vectors(padded) as (c, _):
            lanes = e.masks(b.sub(C, c), 1)[0]
            with cgutils.for_range(b, tiles) as t:
                pair = []
                for k in range(2):
                    mask = e.only_if(e.inside(b.add(b.mul(t.index, _int(2)), _int(k)), W), lanes)
                    offset = b.add(c, b.add(b.mul(t.index, step), b.mul(pixel, _int(k))))
                    first = e.load(b.gep(upper, [offset]), mask)
                    pair.append(spread(first, e.load(b.gep(lower, [offset]), e.only_if(second, mask))))
                tile = b.gep(target, [b.add(c, b.mul(t.index, v_tile))])
                for i in range(3):
                    for j, value in enumerate(spread(pair[0][i], pair[1][i])):
                        e.store(value, b.gep(tile, [b.mul(v_place, _int(3 * i + j))]))
        return context.get_dummy_value()

    return signature, generate


@emitted
def gather_tiles(typing, m, m0, m_place, m_tile, tiles, y, at, row, pixel, step, H, W, C):
    """y[at + t step + i row + j pixel + c] = (A^T m A)[i, j, c] for i < H and 2 t + j < W.

    Returns whether something was NaN or infinite.
    """
    number = types.intp
    signature = types.boolean(m, *[number] * 4, y, *[number] * 7)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        m, m0, m_place, m_tile, tiles, y, at, row, pixel, step, H, W, C = args
        e = Row(b, signature.args[0].dtype)
        source = b.gep(e.data(context, signature.args[0], m), [m0])
        target = b.gep(e.data(context, signature.args[5], y), [at])
        zero = ir.Constant(e.vector, [0.0] * e.lanes)
        trace = cgutils.alloca_once_value(b, zero)  # as in `tiles.output_tiles`
        there = [b.icmp_signed(">", H, _int(i)) for i in range(2)]

        with e.vectors(C) as (c, lanes):
            masks = [e.only_if(inside, lanes) for inside in there]
            with cgutils.for_range(b, tiles) as t:
                tile = b.gep(source, [b.add(c, b.mul(t.index, m_tile))])
                columns = []
                for j in range(3):
                    p = [e.load(b.gep(tile, [b.mul(m_place, _int(3 * i + j))])) for i in range(3)]
                    columns.append([e.add(p[0], p[1]), e.add(p[1], p[2])])
                first = b.gep(target, [b.add(c, b.mul(t.index, step))])
                for j in range(2):
                    inside = e.inside(b.add(b.mul(t.index, _int(2)), _int(j)), W)
                    for i in range(2):
                        value = e.add(columns[j][i], columns[j + 1][i])
                        place = b.gep(first, [b.add(b.mul(row, _int(i)), b.mul(pixel, _int(j)))])
                        e.store(value, place, e.only_if(inside, masks[i]))
                        e.multiply_add(value, zero, trace)
        found = b.load(trace)
        bits = b.bitcast(b.fcmp_unordered("uno", found, found), ir.IntType(e.lanes))
        return b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return signature, generate


@emitted
def transpose(typing, source, s0, s_step, rows, columns, target, t0, t_step):
    """target[t0 + j t_step + i] = source[s0 + i s_step + j] for i < rows, j < columns; 0 up to the last whole vector.

    Squares of lanes x lanes: a round for each bit of the index swaps it between the row and the lane.
    """
    number = types.intp
    signature = types.void(source, *[number] * 4, target, *[number] * 2)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        source, s0, s_step, rows, columns, target, t0, t_step = args
        e = Row(b, signature.args[0].dtype)
        start = b.gep(e.data(context, signature.args[0], source), [s0])
        result = b.gep(e.data(context, signature.args[5], target), [t0])
        every = ir.Constant(e.mask_type, [1] * e.lanes)
        with e.vectors(rows) as (i0, _), e.vectors(columns) as (j0, lanes):
            square = []
            for i in range(e.lanes):
                at = b.add(i0, _int(i))
                inside = b.icmp_signed("<", at, rows)
                line = b.gep(start, [b.add(j0, b.mul(s_step, b.select(inside, at, i0)))])
                square.append(e.load(line, e.only_if(inside, lanes)))
            bit = e.lanes // 2
            while bit:
                for i in (i for i in range(e.lanes) if not i & bit):
                    pair = square[i], square[i + bit]
                    for k in range(2):
                        # Lane l of row i + k bit: from the row and the lane with this bit swapped.
                        order = [(l & ~bit) + k * bit + (e.lanes if l & bit else 0) for l in range(e.lanes)]
                        mask = ir.Constant(ir.VectorType(I32, e.lanes), order)
                        square[i + k * bit] = b.shuffle_vector(*pair, mask)
                bit //= 2
            for j, value in enumerate(square):
                at = b.add(j0, _int(j))
                inside = b.icmp_signed("<", at, columns)
                e.store(value, b.gep(result, [b.add(i0, b.mul(at, t_step))]), e.only_if(inside, every))
        return context.get_dummy_value()

    return signature, generate


__all__ = ["gather_tiles", "input_tiles", "spread_tiles", "transpose"]
