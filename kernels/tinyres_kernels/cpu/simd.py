"""The micro-kernels: a tile of sums held in vector registers, written as LLVM instructions.

Numba's loops do not keep a two-dimensional tile of accumulators in registers; a direct convolution that keeps up with a
vendor's library must. So the two innermost loops are emitted by hand:

    dot_tile    sum over taps:   acc[m, v] += x[pixel m, tap k] * w[tap k, channels v]      (forward, and dx)
    outer_tile  sum over pixels: acc[j, v] += x[pixel, tap j]   * g[pixel, channels v]      (dw)

Each step loads a row of vectors, broadcasts one number at a time and issues fused multiply-adds. Accumulators are
`alloca`s that LLVM promotes to registers, so that the text below is a plain loop nest.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyres_kernels.cpu.host import TARGET

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
FLOATS = {types.float32: (ir.FloatType(), 4), types.float64: (ir.DoubleType(), 8)}
LANES = TARGET.lanes  # of float32; of float64 half as many


class _Emitter:
    """The few vector instructions that both micro-kernels need."""

    def __init__(self, builder: ir.IRBuilder, scalar: Any) -> None:
        self.b = builder
        self.element, self.bytes = FLOATS[scalar]
        self.lanes = lanes = LANES * 4 // self.bytes
        self.vector = ir.VectorType(self.element, lanes)
        kind = f"v{lanes}f{8 * self.bytes}"
        module, pointer = builder.module, self.vector.as_pointer()
        self.mask_type = ir.VectorType(I1, lanes)

        def declare(name: str, result: Any, arguments: Sequence[Any]) -> Any:
            return cgutils.get_or_insert_function(module, ir.FunctionType(result, arguments), name)

        self._fma = declare(f"llvm.fma.{kind}", self.vector, [self.vector] * 3)
        self._load = declare(f"llvm.masked.load.{kind}.p0", self.vector, [pointer, I32, self.mask_type, self.vector])
        self._store = declare(
            f"llvm.masked.store.{kind}.p0", ir.VoidType(), [self.vector, pointer, I32, self.mask_type]
        )

    def data(self, context: Any, array_type: Any, value: Any) -> Any:
        return context.make_array(array_type)(context, self.b, value).data

    def at(self, pointer: Any, *offsets: Any) -> Any:
        for offset in offsets:
            pointer = self.b.gep(pointer, [ir.Constant(I64, offset) if isinstance(offset, int) else offset])
        return pointer

    def _splat(self, scalar: Any, vector: Any) -> Any:
        undefined, zeros = (
            ir.Constant(vector, ir.Undefined),
            ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes),
        )
        first = self.b.insert_element(undefined, scalar, ir.Constant(I32, 0))
        return self.b.shuffle_vector(first, undefined, zeros)

    def broadcast(self, pointer: Any) -> Any:
        return self._splat(self.b.load(pointer), self.vector)

    def masks(self, count: Any, vectors: int) -> list[Any]:
        """For each vector of a row, which of its lanes belong to the first `count` numbers of the row."""
        numbers = ir.VectorType(I32, self.lanes)
        limit = self._splat(self.b.trunc(count, I32), numbers)
        lanes = [list(range(v * self.lanes, (v + 1) * self.lanes)) for v in range(vectors)]
        return [self.b.icmp_signed("<", ir.Constant(numbers, lane), limit) for lane in lanes]

    def as_vector(self, pointer: Any) -> Any:
        return self.b.bitcast(pointer, self.vector.as_pointer())

    def load(self, pointer: Any, mask: Any = None) -> Any:
        if mask is None:
            return self.b.load(self.as_vector(pointer), align=self.bytes)
        zero = ir.Constant(self.vector, [0.0] * self.lanes)
        return self.b.call(self._load, [self.as_vector(pointer), ir.Constant(I32, self.bytes), mask, zero])

    def store(self, value: Any, pointer: Any, mask: Any = None) -> None:
        if mask is None:
            self.b.store(value, self.as_vector(pointer), align=self.bytes)
        else:
            self.b.call(self._store, [value, self.as_vector(pointer), ir.Constant(I32, self.bytes), mask])

    def accumulators(self, rows: int, columns: int) -> list[list[Any]]:
        tile = [[cgutils.alloca_once(self.b, self.vector) for _ in range(columns)] for _ in range(rows)]
        for place in (place for row in tile for place in row):
            self.b.store(ir.Constant(self.vector, [0.0] * self.lanes), place)
        return tile

    def multiply_add(self, a: Any, b: Any, place: Any) -> None:
        self.b.store(self.b.call(self._fma, [a, b, self.b.load(place)]), place)


def dot_tile(pixels: int, vectors: int) -> Callable[..., None]:
    """out[pixel m, lane] = sum_{r, c, k} x[x0 + place(m) + r x_row + c x_col + k] * w[w0 + step * wide + lane]

    where wide = vectors * lanes and step counts (r, c, k) in order through the packed panel at w0. The first half of
    the pixels lie x_step apart, the second half likewise from x_jump on (so that a tile may cover two short rows); out
    likewise. Of each row of vectors the first `tail` numbers are stored.
    """
    half = (pixels + 1) // 2

    @intrinsic
    def tile(typing, x, x0, x_step, x_jump, rows, x_row, columns, x_col, run, w, w0, out, o0, o_step, o_jump, tail):
        number = types.intp
        signature = types.void(x, *[number] * 8, w, number, out, *[number] * 4)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            x, x0, x_step, x_jump, rows, x_row, columns, x_col, run, w, w0, out, o0, o_step, o_jump, tail = args
            e = _Emitter(b, signature.args[0].dtype)
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
                    for m in range(pixels):
                        value = e.broadcast(b.gep(pixel[m], [k.index]))
                        for v in range(vectors):
                            e.multiply_add(value, w_row[v], acc[m][v])
                b.store(b.gep(first, [b.mul(run, ir.Constant(I64, vectors * lanes))]), panel)
            masks = e.masks(tail, vectors)
            result = b.gep(e.data(context, signature.args[11], out), [o0])
            for m in range(pixels):
                target = b.gep(result, [place(m, o_step, o_jump)])
                for v in range(vectors):
                    e.store(b.load(acc[m][v]), e.at(target, v * lanes), masks[v])
            return context.get_dummy_value()

        return signature, generate

    return tile


def outer_tile(taps: int, vectors: int) -> Callable[..., None]:
    """sums[s0 + j s_step + lane] += sum_{n, r, c} x[x0 + n x_image + r x_row + c x_step + j] * g[g0 + ... + lane]

    for j < taps, over images n, rows r and columns c. Of each row of g the first `tail` numbers are read, the others
    count as 0.
    """

    @intrinsic
    def tile(
        typing,
        images,
        rows,
        columns,
        x,
        x0,
        x_image,
        x_row,
        x_step,
        g,
        g0,
        g_image,
        g_row,
        g_step,
        sums,
        s0,
        s_step,
        tail,
    ):
        number = types.intp
        signature = types.void(*[number] * 3, x, *[number] * 4, g, *[number] * 4, sums, *[number] * 3)

        def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
            (
                images,
                rows,
                columns,
                x,
                x0,
                x_image,
                x_row,
                x_step,
                g,
                g0,
                g_image,
                g_row,
                g_step,
                sums,
                s0,
                s_step,
                tail,
            ) = args
            e = _Emitter(b, signature.args[3].dtype)
            lanes = e.lanes
            x_start = b.gep(e.data(context, signature.args[3], x), [x0])
            g_start = b.gep(e.data(context, signature.args[8], g), [g0])
            acc, masks = e.accumulators(taps, vectors), e.masks(tail, vectors)
            with cgutils.for_range(b, images) as n, cgutils.for_range(b, rows) as r:
                x_line = e.at(x_start, b.mul(n.index, x_image), b.mul(r.index, x_row))
                g_line = e.at(g_start, b.mul(n.index, g_image), b.mul(r.index, g_row))
                with cgutils.for_range(b, columns) as c:
                    pixel = b.gep(x_line, [b.mul(c.index, x_step)])
                    g_row_at = b.gep(g_line, [b.mul(c.index, g_step)])
                    loaded = [e.load(e.at(g_row_at, v * lanes), masks[v]) for v in range(vectors)]
                    for j in range(taps):
                        value = e.broadcast(e.at(pixel, j))
                        for v in range(vectors):
                            e.multiply_add(value, loaded[v], acc[j][v])
            total = b.gep(e.data(context, signature.args[13], sums), [s0])
            for j in range(taps):
                line = b.gep(total, [b.mul(s_step, ir.Constant(I64, j))])
                for v in range(vectors):
                    target = e.at(line, v * lanes)
                    e.store(b.fadd(e.load(target), b.load(acc[j][v])), target)
            return context.get_dummy_value()

        return signature, generate

    return tile
