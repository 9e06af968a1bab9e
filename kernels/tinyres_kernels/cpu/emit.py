"""The few LLVM vector instructions that the micro-kernels need."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyres_kernels.cpu.host import TARGET

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
BYTES = ir.IntType(8).as_pointer()
FLOATS = {types.float32: (ir.FloatType(), 4), types.float64: (ir.DoubleType(), 8)}
LANES = TARGET.lanes  # of float32; of float64 half as many


def emitted(function: Callable[..., Any]) -> Any:
    """`numba.extending.intrinsic`: what is called from compiled code has one argument less than what is written."""
    return intrinsic(function)


class Emitter:
    """The few vector instructions that the micro-kernels need."""

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
        stored = [pointer, I32, self.mask_type]
        self._store = declare(f"llvm.masked.store.{kind}.p0", ir.VoidType(), [self.vector, *stored])
        self._fetch = declare("llvm.prefetch.p0", ir.VoidType(), [BYTES, I32, I32, I32])
        self.numbers = ir.VectorType(I32, lanes)
        self._store_whole = declare(f"llvm.masked.store.v{lanes}i32.p0", ir.VoidType(), [self.numbers, *stored])

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

    def splat(self, scalar: Any) -> Any:
        return self._splat(scalar, self.vector)

    def broadcast(self, pointer: Any) -> Any:
        return self.splat(self.b.load(pointer))

    def whole(self, number: Any) -> Any:
        """An int64 as a vector of int32."""
        return self._splat(self.b.trunc(number, I32), self.numbers)

    def masks(self, count: Any, vectors: int) -> list[Any]:
        """For each vector of a row, which of its lanes belong to the first `count` numbers of the row."""
        limit = self.whole(count)
        lanes = [list(range(v * self.lanes, (v + 1) * self.lanes)) for v in range(vectors)]
        return [self.b.icmp_signed("<", ir.Constant(self.numbers, lane), limit) for lane in lanes]

    @contextmanager
    def vectors(self, count: Any) -> Iterator[tuple[Any, Any]]:
        """A loop over vectors of a line: (where the vector begins, which of its lanes are among the first `count`)."""
        whole = self.b.add(count, ir.Constant(I64, self.lanes - 1))
        with cgutils.for_range(self.b, self.b.sdiv(whole, ir.Constant(I64, self.lanes))) as v:
            first = self.b.mul(v.index, ir.Constant(I64, self.lanes))
            yield first, self.masks(self.b.sub(count, first), 1)[0]

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

    def store_whole(self, value: Any, pointer: Any, mask: Any) -> None:
        pointer = self.b.bitcast(pointer, self.vector.as_pointer())
        self.b.call(self._store_whole, [value, pointer, ir.Constant(I32, 4), mask])

    def accumulators(self, rows: int, columns: int) -> list[list[Any]]:
        tile = [[cgutils.alloca_once(self.b, self.vector) for _ in range(columns)] for _ in range(rows)]
        for place in (place for row in tile for place in row):
            self.b.store(ir.Constant(self.vector, [0.0] * self.lanes), place)
        return tile

    def finish(self, sums: list[list[Any]], targets: list[list[Any]], masks: list[Any], add: Any) -> None:
        """Store the sums, or, where `add`, what they make with the numbers that are there."""
        ends = [end for row, at in zip(sums, targets, strict=True) for end in zip(row, at, masks, strict=True)]
        with self.b.if_then(add):
            for place, target, mask in ends:
                self.b.store(self.b.fadd(self.b.load(place), self.load(target, mask)), place)
        for place, target, mask in ends:
            self.store(self.b.load(place), target, mask)

    def wait(self) -> None:
        """An empty instruction that no load is moved across. LLVM would load all a step needs before it multiplies:
        more than fits beside the sums, some of which then went to the stack and back in every turn."""
        self.b.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], side_effect=True)

    def fetch(self, pointer: Any) -> None:
        """Bring the cache line there into the nearest cache, without waiting for it. It may lie beyond an array."""
        self.b.call(self._fetch, [self.b.bitcast(pointer, BYTES), *(ir.Constant(I32, n) for n in (0, 3, 1))])

    def fused(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        return self.b.call(self._fma, [a, b, c])

    def multiply_add(self, a: Any, b: Any, place: Any) -> None:
        self.b.store(self.b.call(self._fma, [a, b, self.b.load(place)]), place)


def _element(context: Any, b: Any, array_type: Any, array: Any, at: Any) -> Any:
    return b.gep(context.make_array(array_type)(context, b, array).data, [at])


@emitted
def copy(typing, target, t0, source, s0, count):
    """target[t0 : t0 + count] = source[s0 : s0 + count] of lines of one dtype: what the C library does best."""
    signature = types.void(target, types.intp, source, types.intp, types.intp)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        to, of = (_element(context, b, signature.args[i], args[i], args[i + 1]) for i in (0, 2))
        cgutils.raw_memcpy(b, to, of, args[4], FLOATS[signature.args[0].dtype][1])
        return context.get_dummy_value()

    return signature, generate


@emitted
def clear(typing, target, t0, count):
    """target[t0 : t0 + count] = 0"""
    signature = types.void(target, types.intp, types.intp)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        size = b.mul(args[2], ir.Constant(I64, FLOATS[signature.args[0].dtype][1]))
        cgutils.memset(b, _element(context, b, signature.args[0], args[0], args[1]), size, 0)
        return context.get_dummy_value()

    return signature, generate
