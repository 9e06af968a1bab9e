"""Sums over rows, and the adjoint of batch norm, in vectors: constants and sums stay in registers.

Both take VECTORS vectors of a row at a time, and of these the rows one after the other. g counts as 0 where the ReLU
did not let pass; mask: 0 there is none, 1 it let pass where y > 0, 2 where (x - centre) slope + shift > 0, by the very
arithmetic of the forward pass. ITSELF: in place of g stands x - centre.

LLVM makes half as wide vectors of a plain loop, and reads the constants again for each of them: it takes a quarter to
a half longer.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from tinyres_kernels.cpu.emit import I64, Emitter, emitted

VECTORS = 4
ITSELF = 3

Columns = Callable[[Any, list[Any]], None]


def _columns(b: ir.IRBuilder, e: Emitter, width: Any, body: Columns) -> None:
    """body(first, masks) for each part of a row, which begins at column `first`: of VECTORS vectors, and what is left
    one by one."""
    size = ir.Constant(I64, VECTORS * e.lanes)
    with cgutils.for_range(b, b.sdiv(width, size)) as k:
        body(b.mul(k.index, size), [None] * VECTORS)
    rest = b.srem(width, size)
    with e.vectors(rest) as (first, mask):
        body(b.add(b.sub(width, rest), first), [mask])


class _Rows:
    """Vector v of a row of each array, from column `first` on, and what is constant along the rows."""

    def __init__(self, e: Emitter, arrays: dict[str, Any], width: Any, first: Any, masks: list[Any]) -> None:
        self.e, self.width, self.masks, self.vectors = e, width, masks, range(len(masks))
        self.starts = {name: e.at(start, first) for name, start in arrays.items()}

    def place(self, name: str, v: int, row: Any = None) -> Any:
        start = self.starts[name]
        start = start if row is None else self.e.at(start, self.e.b.mul(row, self.width))
        return self.e.at(start, v * self.e.lanes)

    def load(self, name: str, v: int, row: Any = None) -> Any:
        return self.e.load(self.place(name, v, row), self.masks[v])

    def constants(self, name: str) -> list[Any]:
        return [self.load(name, v) for v in self.vectors]

    def passed(self, mask: int, v: int, row: Any, d: Any, slope: list[Any], shift: list[Any]) -> Any:
        """g, or 0 where the ReLU did not let pass. d: x - centre."""
        b, g = self.e.b, self.load("g", v, row)
        if mask == 0:
            return g
        sign = self.load("y", v, row) if mask == 1 else b.fadd(b.fmul(d, slope[v]), shift[v])
        zero = ir.Constant(self.e.vector, [0.0] * self.e.lanes)
        return b.select(b.fcmp_ordered(">", sign, zero), g, zero)


def _each(b: ir.IRBuilder, flags: dict[Any, Sequence[int]], body: Callable[..., None]) -> None:
    """body for the values that the flags have, of those they may have: no branch is left inside of its loop."""
    for values in product(*flags.values()):
        equal = [b.icmp_signed("==", f, ir.Constant(f.type, v)) for f, v in zip(flags, values, strict=True)]
        with b.if_then(reduce(b.and_, equal)):
            body(*values)


@emitted
def products_rows(typing, mask, store, rows, width, g, x, y, r0, centre, slope, shift, near, n0, n1, passed, p0):
    """near[n0 + j] = sum of g, near[n1 + j] = sum of g (x - centre) over the rows from the one at r0 on. With `store`,
    for which y is needed, that g is written to passed[p0:]."""
    number = types.intp
    signature = types.void(
        number, types.boolean, *[number] * 2, *[x] * 3, number, *[centre] * 3, near, *[number] * 2, passed, number
    )

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        mask, store, rows, width = args[:4]
        e = Emitter(b, signature.args[4].dtype)

        def start(i: int, at: Any) -> Any:
            return e.at(e.data(context, signature.args[i], args[i]), at)

        zero = ir.Constant(I64, 0)
        arrays = {
            **{name: start(i, args[7]) for name, i in (("g", 4), ("x", 5), ("y", 6))},
            **{name: start(i, zero) for name, i in (("centre", 8), ("slope", 9), ("shift", 10))},
            "total": start(11, args[12]), "along": start(11, args[13]), "passed": start(14, args[15]),
        }  # fmt: skip

        def columns(mask: int, store: int, first: Any, masks: list[Any]) -> None:
            at = _Rows(e, arrays, width, first, masks)
            centre = at.constants("centre")
            slope, shift = (at.constants(name) if mask == 2 else [] for name in ("slope", "shift"))
            total, along = e.accumulators(2, len(masks))
            with cgutils.for_range(b, rows) as row:
                for v in at.vectors:
                    d = b.fsub(at.load("x", v, row.index), centre[v])
                    value = d if mask == ITSELF else at.passed(mask, v, row.index, d, slope, shift)
                    if store:
                        e.store(value, at.place("passed", v, row.index), masks[v])
                    b.store(b.fadd(b.load(total[v]), value), total[v])
                    e.multiply_add(value, d, along[v])
            for v in at.vectors:
                e.store(b.load(total[v]), at.place("total", v), masks[v])
                e.store(b.load(along[v]), at.place("along", v), masks[v])

        def kind(mask: int, store: int) -> None:
            if not store or mask == 1:
                _columns(b, e, width, lambda first, masks: columns(mask, store, first, masks))

        _each(b, {mask: (0, 1, 2, ITSELF), store: (0, 1)}, kind)
        return context.get_dummy_value()

    return signature, generate


@emitted
def combine_rows(typing, mask, own, rows, width, g, x, y, r0, centre, slope, shift, along, mean, scale, out, o0):
    """out[o0:] = (g - mean - (x - centre) along) scale of the rows from the one at r0 on; without `own`, g scale."""
    number = types.intp
    signature = types.void(number, types.boolean, *[number] * 2, *[x] * 3, number, *[centre] * 6, out, number)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        mask, own, rows, width = args[:4]
        e = Emitter(b, signature.args[4].dtype)

        def start(i: int, at: Any) -> Any:
            return e.at(e.data(context, signature.args[i], args[i]), at)

        names = ("centre", "slope", "shift", "along", "mean", "scale")
        arrays = {
            **{name: start(i, args[7]) for name, i in (("g", 4), ("x", 5), ("y", 6))},
            **{name: start(8 + k, ir.Constant(I64, 0)) for k, name in enumerate(names)},
            "out": start(14, args[15]),
        }

        def columns(mask: int, own: int, first: Any, masks: list[Any]) -> None:
            at = _Rows(e, arrays, width, first, masks)
            needed = {"scale", *(("centre", "along", "mean") if own else ())}
            needed |= {"centre", "slope", "shift"} if mask == 2 else set()
            fixed = {name: at.constants(name) if name in needed else [] for name in names}
            with cgutils.for_range(b, rows) as row:
                for v in at.vectors:
                    d = b.fsub(at.load("x", v, row.index), fixed["centre"][v]) if fixed["centre"] else None
                    value = at.passed(mask, v, row.index, d, fixed["slope"], fixed["shift"])
                    if own:
                        value = b.fsub(b.fsub(value, fixed["mean"][v]), b.fmul(d, fixed["along"][v]))
                    e.store(b.fmul(value, fixed["scale"][v]), at.place("out", v, row.index), masks[v])

        def kind(mask: int, own: int) -> None:
            _columns(b, e, width, lambda first, masks: columns(mask, own, first, masks))

        _each(b, {mask: (0, 1, 2), own: (0, 1)}, kind)
        return context.get_dummy_value()

    return signature, generate
