"""Adam's step of many parameters in one call, with the bits of one by one: most parameters are so few numbers that a
call for each takes longer than the step."""

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
from tinyres_kernels.cpu.jit import kernel
from tinyres_kernels.cpu.update import WORK, adam, adam_line, adam_numbers
from tinyres_kernels.settings import Adam

Step = tuple[Any, ...]  # p, g, m, v, out, new_m, new_v


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


@kernel
def _adam_many(t, threads, like, table, settings, first):
    rows, item = table.shape[0], like.itemsize
    total = table[rows - 1, 0] + table[rows - 1, 1]
    begin, end = total * t // threads, total * (t + 1) // threads
    for k in range(rows):
        start = table[k, 0]
        low, high = max(0, begin - start), min(table[k, 1], end - start)
        if low < high:
            size, on = high - low, low * item
            adam_line(
                _line_at(like, table[k, 2] + on, size), _line_at(like, table[k, 3] + on, size),
                _line_at(like, table[k, 4] + on, size), _line_at(like, table[k, 5] + on, size),
                _line_at(like, table[k, 6] + on, size), _line_at(like, table[k, 7] + on, size),
                _line_at(like, table[k, 8] + on, size), settings, first,
            )  # fmt: skip


def _joins(step: Step) -> bool:
    """Whether all arrays have one dtype and lie alike in memory, without gaps: the kernel is told where they begin."""
    out = step[4]
    strides, dtype = out.strides, out.dtype
    if not all(a is None or (a.strides == strides and a.dtype == dtype and a.flags.aligned) for a in step):
        return False
    order = sorted(range(out.ndim), key=lambda axis: -strides[axis])
    return bool(out.flags.c_contiguous or out.transpose(order).flags.c_contiguous)


def adam_many(steps: Iterable[Step], s: Adam, kept: None = None) -> None:
    """`adam` of each (p, g, m, v, out, new_m, new_v): 28 bytes a number in float32."""
    admit, groups = OPERATIONS["adam"].admit, dict[Any, list[Step]]()
    for step in steps:
        if admit(*step, s):
            alike = (step[4].dtype, step[2] is None, step[3] is None) if _joins(step) else None
            groups.setdefault(alike, []).append(step)
    for p, g, m, v, out, new_m, new_v in groups.pop(None, ()):
        adam(p, g, m, v, out, new_m, new_v, s)
    for (dtype, first, _), joined in groups.items():
        rows, start = [], 0
        for step in joined:
            size = step[0].size
            rows.append((start, size, *((step[0] if a is None else a).__array_interface__["data"][0] for a in step)))
            start += size
        _adam_many(threads(WORK * start), np.empty(0, dtype), np.array(rows), adam_numbers(s), first)


MANY = {"adam": Many(adam_many)}
