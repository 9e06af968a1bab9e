"""A step of SGD or Adam of many parameters in one call, with the bits of one by one: most parameters are so few numbers
that a call for each takes longer than the step."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import populate_array

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.cpu.emit import FLOATS, I64, emitted
from tinyres_kernels.cpu.host import threads
from tinyres_kernels.cpu.jit import inlined, kernel
from tinyres_kernels.cpu.update import WORK, adam, adam_line, adam_numbers, sgd, sgd_line, sgd_numbers
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Adam, Sgd

Step = tuple[Any, ...]  # p, g, buffer, out, new_buffer; or p, g, m, v, out, new_m, new_v


class Many(NamedTuple):
    """launch: many steps at once;   numbers: what a kernel reads again from memory at each launch: nothing.

    most: numbers that parameters may have before a launch is due; as long as they wait, old and new arrays are there.
    """

    launch: Callable[..., None]
    numbers: None = None
    most: float = 1 << 19


@emitted
def _line_at(typing, like, address, size):
    """`size` numbers of like's dtype from an address on, as an array, which owns nothing."""

    def generate(context: Any, b: ir.IRBuilder, signature: Any, args: Sequence[Any]) -> Any:
        element, width = FLOATS[signature.args[0].dtype]
        made, item = context.make_array(signature.return_type)(context, b), ir.Constant(I64, width)
        shape, strides = (cgutils.pack_array(b, [n]) for n in (args[2], item))
        data = b.inttoptr(args[1], element.as_pointer())
        populate_array(made, data=data, shape=shape, strides=strides, itemsize=item, meminfo=None)
        return made._getvalue()

    return types.Array(like.dtype, 1, "C")(like, types.intp, types.intp), generate


@inlined
def _own(t, threads, table, k):
    """Which numbers of row k are thread t's: of each thread the same part of all numbers."""
    rows = table.shape[0]
    total, start = table[rows - 1, 0] + table[rows - 1, 1], table[k, 0]
    return max(0, total * t // threads - start), min(table[k, 1], total * (t + 1) // threads - start)


@kernel
def _sgd_many(t, threads, like, table, settings, moves, first, nesterov):
    for k in range(table.shape[0]):
        low, high = _own(t, threads, table, k)
        if low < high:
            size, on = high - low, low * like.itemsize
            sgd_line(
                _line_at(like, table[k, 2] + on, size), _line_at(like, table[k, 3] + on, size),
                _line_at(like, table[k, 4] + on, size), _line_at(like, table[k, 5] + on, size),
                _line_at(like, table[k, 6] + on, size), settings, moves, first, nesterov,
            )  # fmt: skip


@kernel
def _adam_many(t, threads, like, table, settings, first):
    for k in range(table.shape[0]):
        low, high = _own(t, threads, table, k)
        if low < high:
            size, on = high - low, low * like.itemsize
            adam_line(
                _line_at(like, table[k, 2] + on, size), _line_at(like, table[k, 3] + on, size),
                _line_at(like, table[k, 4] + on, size), _line_at(like, table[k, 5] + on, size),
                _line_at(like, table[k, 6] + on, size), _line_at(like, table[k, 7] + on, size),
                _line_at(like, table[k, 8] + on, size), settings, first,
            )  # fmt: skip


def _joins(step: Step, out: Array) -> bool:
    """Whether all arrays have one dtype and lie alike in memory, without gaps: the kernel is told where they begin."""
    strides, dtype = out.strides, out.dtype
    if not all(a is None or (a.strides == strides and a.dtype == dtype and a.flags.aligned) for a in step):
        return False
    order = sorted(range(out.ndim), key=lambda axis: -strides[axis])
    return bool(out.flags.c_contiguous or out.transpose(order).flags.c_contiguous)


def _alike(op: str, steps: Iterable[Step], s: Any) -> tuple[list[Step], list[tuple[Array, Array, Step]]]:
    """The steps that must be taken one by one; and of each kind that can be taken together an array of its dtype, the
    table for the kernel, and one of the steps, for what they all have in common."""
    admit, place, groups = OPERATIONS[op].admit, OPERATIONS[op].arrays.index("out"), dict[Any, list[Step]]()
    for step in steps:
        if admit(*step, s):
            out = step[place]
            kind = (out.dtype, *(a is None for a in step)) if _joins(step, out) else None
            groups.setdefault(kind, []).append(step)
    alone, tables = groups.pop(None, []), []
    for (dtype, *_), joined in groups.items():
        rows, start = [], 0
        for step in joined:
            size = step[0].size
            rows.append((start, size, *((step[0] if a is None else a).__array_interface__["data"][0] for a in step)))
            start += size
        tables.append((np.empty(0, dtype), np.array(rows), joined[0]))
    return alone, tables


def _count(table: Array) -> int:
    """The threads for all numbers of a table."""
    return threads(WORK * int(table[-1, 0] + table[-1, 1]))


def sgd_many(steps: Iterable[Step], s: Sgd, kept: None = None) -> None:
    """`sgd` of each (p, g, buffer, out, new_buffer): 20 bytes a number in float32."""
    alone, tables = _alike("sgd", steps, s)
    for p, g, buffer, out, new_buffer in alone:
        sgd(p, g, buffer, out, new_buffer, s)
    for like, table, (_, _, buffer, _, new_buffer) in tables:
        flags = new_buffer is not None, buffer is None, bool(s.nesterov)
        _sgd_many(_count(table), like, table, sgd_numbers(s), *flags)


def adam_many(steps: Iterable[Step], s: Adam, kept: None = None) -> None:
    """`adam` of each (p, g, m, v, out, new_m, new_v): 28 bytes a number in float32."""
    alone, tables = _alike("adam", steps, s)
    for p, g, m, v, out, new_m, new_v in alone:
        adam(p, g, m, v, out, new_m, new_v, s)
    for like, table, (_, _, m, *_) in tables:
        _adam_many(_count(table), like, table, adam_numbers(s), m is None)


MANY = {"sgd": Many(sgd_many), "adam": Many(adam_many)}
