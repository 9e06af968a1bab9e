"""The transforms of Winograd's convolution F(2x2, 3x3), written as LLVM instructions.

A tile of 2x2 outputs reads 4x4 pixels d and a 3x3 kernel w:

    y = A^T [ (G w G^T) * (B^T d B) ] A        (* element by element, summed over input channels: a matrix product
                                                for each of the 16 places)

    B^T = 1  0 -1  0     G =  1    0    0      A^T = 1  1  1  0
          0  1  1  0         1/2  1/2  1/2           0  1 -1 -1
          0 -1  1  0         1/2 -1/2  1/2
          0  1  0 -1          0    0    1

    input_tiles      B^T d B for a row of tiles           output_tiles      A^T m A, the other way
    cotangent_tiles  A g A^T, the adjoint of the latter (for dw)

Lanes are channels. All three go along a row of tiles, so that neighbours share the columns in which they overlap.
Lavin & Gray 2016 [lavin2016fast], "Fast algorithms for convolutional neural networks".
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I64, Emitter, emitted


def _int(value: int) -> Any:
    return ir.Constant(I64, value)


class Row(Emitter):
    """A row of tiles, one vector of channels at a time."""

    def add(self, a: Any, b: Any) -> Any:
        return self.b.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return self.b.fsub(a, b)

    def variables(self, count: int) -> list[Any]:
        return [cgutils.alloca_once(self.b, self.vector) for _ in range(count)]

    def only_if(self, condition: Any, mask: Any) -> Any:
        return self.b.select(condition, mask, ir.Constant(self.mask_type, [0] * self.lanes))

    def inside(self, place: Any, size: Any) -> Any:
        """0 <= place < size"""
        return self.b.icmp_unsigned("<", place, size)

    def row_pointer(self, data: Any, zeros: Any, image: Any, h: Any, H: Any, length: Any) -> Any:
        """Where row h of an image begins; outside of the image a row of zeros."""
        row = self.b.gep(data, [self.b.add(image, self.b.mul(h, length))])
        return self.b.select(self.inside(h, H), row, zeros)


@emitted
def input_tiles(typing, x, image, h, w, H, W, C, zeros, tiles, v, v0, v_place, v_tile):
    """v[v0 + place v_place + t v_tile + c] = (B^T d B)[place, c] for the tiles t whose corners are (h, w + 2 t).

    `image`: where the image begins in x. What lies outside of it is 0; zeros: an array of W C zeros.
    """
    number = types.intp
    signature = types.void(x, *[number] * 6, zeros, number, v, *[number] * 3)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        x, image, h, w, H, W, C, zeros, tiles, v, v0, v_place, v_tile = args
        e = Row(b, signature.args[0].dtype)
        data, nothing = e.data(context, signature.args[0], x), e.data(context, signature.args[7], zeros)
        length = b.mul(W, C)
        rows = [e.row_pointer(data, nothing, image, b.add(h, _int(i)), H, length) for i in range(4)]
        target = b.gep(e.data(context, signature.args[9], v), [v0])
        left, middle = e.variables(4), e.variables(4)

        def column(at: Any, lanes: Any, c: Any) -> list[Any]:
            """B^T applied to one column of pixels."""
            mask = e.only_if(e.inside(at, W), lanes)
            offset = b.add(b.mul(at, C), c)
            d = [e.load(b.gep(row, [offset]), mask) for row in rows]
            return [e.sub(d[0], d[2]), e.add(d[1], d[2]), e.sub(d[2], d[1]), e.sub(d[1], d[3])]

        with e.vectors(C) as (c, lanes):
            for kept, at in ((left, w), (middle, b.add(w, _int(1)))):
                for place, value in zip(kept, column(at, lanes, c), strict=True):
                    b.store(value, place)
            with cgutils.for_range(b, tiles) as t:
                at = b.add(w, b.mul(t.index, _int(2)))
                third, fourth = (column(b.add(at, _int(k)), lanes, c) for k in (2, 3))
                tile = b.gep(target, [b.add(c, b.mul(t.index, v_tile))])
                for i in range(4):
                    first, second = b.load(left[i]), b.load(middle[i])
                    row = [
                        e.sub(first, third[i]),
                        e.add(second, third[i]),
                        e.sub(third[i], second),
                        e.sub(second, fourth[i]),
                    ]
                    for j, value in enumerate(row):
                        e.store(value, b.gep(tile, [b.mul(v_place, _int(4 * i + j))]))
                    b.store(third[i], left[i])
                    b.store(fourth[i], middle[i])
        return context.get_dummy_value()

    return signature, generate


@emitted
def cotangent_tiles(typing, g, image, h, H, W, C, zeros, tiles, v, v0, v_place, v_tile):
    """v[v0 + place v_place + t v_tile + c] = (A g A^T)[place, c] for the tiles t: outputs (h, 2 t) to (h + 1, 2 t + 1).

    Arguments as for `input_tiles`.
    """
    number = types.intp
    signature = types.void(g, *[number] * 5, zeros, number, v, *[number] * 3)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        g, image, h, H, W, C, zeros, tiles, v, v0, v_place, v_tile = args
        e = Row(b, signature.args[0].dtype)
        data, nothing = e.data(context, signature.args[0], g), e.data(context, signature.args[6], zeros)
        rows = [e.row_pointer(data, nothing, image, b.add(h, _int(i)), H, b.mul(W, C)) for i in range(2)]
        target = b.gep(e.data(context, signature.args[8], v), [v0])

        def spread(a: Any, c: Any) -> list[Any]:
            """A applied to a pair."""
            return [a, e.add(a, c), e.sub(a, c), b.fneg(c)]

        with e.vectors(C) as (c, lanes), cgutils.for_range(b, tiles) as t:
            pair = []
            for k in range(2):
                at = b.add(b.mul(t.index, _int(2)), _int(k))
                mask = e.only_if(e.inside(at, W), lanes)
                offset = b.add(b.mul(at, C), c)
                pair.append(spread(*(e.load(b.gep(row, [offset]), mask) for row in rows)))
            tile = b.gep(target, [b.add(c, b.mul(t.index, v_tile))])
            for i in range(4):
                for j, value in enumerate(spread(pair[0][i], pair[1][i])):
                    e.store(value, b.gep(tile, [b.mul(v_place, _int(4 * i + j))]))
        return context.get_dummy_value()

    return signature, generate


@emitted
def output_tiles(typing, m, m0, m_place, m_tile, tiles, y, image, h, H, W, C):
    """y[h + r, 2 t + s, c] = (A^T m A)[r, s, c] for r, s < 2 inside of the image of y that begins at `image`.

    Returns whether something written was NaN or infinite.
    """
    number = types.intp
    signature = types.boolean(m, *[number] * 4, y, *[number] * 5)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        m, m0, m_place, m_tile, tiles, y, image, h, H, W, C = args
        e = Row(b, signature.args[0].dtype)
        source = b.gep(e.data(context, signature.args[0], m), [m0])
        target = e.data(context, signature.args[5], y)
        zero = ir.Constant(e.vector, [0.0] * e.lanes)
        trace = cgutils.alloca_once_value(b, zero)  # 0 until something is not finite: 0 * inf is NaN, and stays
        second = e.inside(b.add(h, _int(1)), H)
        lines = [b.gep(target, [b.add(image, b.mul(b.add(h, _int(r)), b.mul(W, C)))]) for r in range(2)]

        def gather(a: Any, c: Any, d: Any, f: Any) -> list[Any]:
            """A^T applied to four."""
            return [e.add(e.add(a, c), d), e.sub(e.sub(c, d), f)]

        with e.vectors(C) as (c, lanes):
            below = e.only_if(second, lanes)
            with cgutils.for_range(b, tiles) as t:
                tile = b.gep(source, [b.add(c, b.mul(t.index, m_tile))])
                columns = []
                for j in range(4):
                    products = [e.load(b.gep(tile, [b.mul(m_place, _int(4 * i + j))])) for i in range(4)]
                    columns.append(gather(*products))
                left = b.mul(t.index, _int(2))
                right = e.inside(b.add(left, _int(1)), W)
                offset = b.add(b.mul(left, C), c)
                for line, mask, r in ((lines[0], lanes, 0), (lines[1], below, 1)):
                    values = gather(*(column[r] for column in columns))
                    e.store(values[0], b.gep(line, [offset]), mask)
                    e.store(values[1], b.gep(line, [b.add(offset, C)]), e.only_if(right, mask))
                    for value in values:
                        e.multiply_add(value, zero, trace)
        found = b.load(trace)
        lost = b.fcmp_unordered("uno", found, found)
        bits = b.bitcast(lost, ir.IntType(e.lanes))
        return b.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return signature, generate


__all__ = ["cotangent_tiles", "input_tiles", "output_tiles"]
