"""Many arrays in one launch: a table of their addresses is one of the kernel's arguments, a tuple of integers.

A row is what one step of a loop over launches would have been given: the first of its blocks, how many numbers its
arrays hold, and where they lie. A block looks for its row, and makes arrays of the addresses. In Python (the simulator,
`show`) each of the two is what its body says; when Numba compiles it, it is a jump and a few instructions.
"""

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tinyres_kernels.cuda import launching
from tinyres_kernels.cuda.host import SIMULATED, part_of_numba
from tinyres_kernels.namespace import Array

PARAMETERS = 512  # of eight bytes: what a kernel can be given
NOBODYS = 1 << 62  # the first block of a row that is not used


def rows(fields: int, others: int) -> int:
    """How many rows of so many integers fit, beside other arguments of so many parameters."""
    return (PARAMETERS - others) // fields


def addresses(arrays: Sequence[Array]) -> list[int]:
    """Where arrays lie. Raises TypeError for NumPy's, unless simulated."""
    if not SIMULATED and any(isinstance(a, np.ndarray) for a in arrays):
        raise launching._on_host(arrays)
    return [a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr for a in arrays]


@cache
def reader(fields: int) -> Callable[..., Any]:
    """A function for kernels: the row that a block belongs to, as a tuple. Rows lie in the order of their blocks."""

    def row_of(table, block):
        at = 0
        for start in range(0, len(table), fields):
            if table[start] <= block:
                at = start
        return table[at : at + fields]

    if SIMULATED:
        return row_of

    from llvmlite import ir

    cgutils, types, extending = map(part_of_numba, ("cgutils", "types", "extending"))

    @extending.type_callable(row_of)
    def type_row_of(context):
        return lambda table, block: types.UniTuple(types.int64, fields)

    @extending.lower_builtin(row_of, types.UniTuple, types.Integer)
    def lower_row_of(context, builder, signature, given):
        index = ir.IntType(64)
        block = context.cast(builder, given[1], signature.args[1], types.int64)
        held = cgutils.unpack_tuple(builder, given[0])
        listed = [held[start : start + fields] for start in range(0, len(held), fields)]
        number = ir.Constant(index, 0)
        for row in listed[1:]:
            number = builder.add(number, builder.zext(builder.icmp_signed("<=", row[0], block), index))
        arrived = builder.append_basic_block("row")
        ways = [builder.append_basic_block(f"row {i}") for i in range(len(listed))]
        jump = builder.switch(number, ways[0])
        for i, way in enumerate(ways):
            if i:
                jump.add_case(ir.Constant(index, i), way)
            builder.position_at_end(way)
            builder.branch(arrived)
        builder.position_at_end(arrived)
        found = [builder.phi(index) for _ in range(fields)]
        for way, row in zip(ways, listed, strict=True):
            for phi, value in zip(found, row, strict=True):
                phi.add_incoming(value, way)
        return cgutils.pack_array(builder, found)

    return row_of


def line_at(like: Any, where: Any, size: Any) -> Any:
    """The `size` numbers at an address, of the type of those in `like`."""
    return np.frombuffer((ctypes.c_char * (size * like.dtype.itemsize)).from_address(where), like.dtype)


def _compiled() -> None:
    types, extending, arrays = map(part_of_numba, ("types", "extending", "np.arrayobj"))
    GLOBAL = 1  # the address space: a pointer that is known to be of it is loaded from without a question

    @extending.type_callable(line_at)
    def type_line_at(context):
        return lambda like, where, size: types.Array(like.dtype, 1, "C")

    @extending.lower_builtin(line_at, types.Array, types.Integer, types.Integer)
    def lower_line_at(context, builder, signature, given):
        made = context.make_array(signature.return_type)(context, builder)
        number = context.get_data_type(signature.return_type.dtype)
        pointer = builder.inttoptr(given[1], number.as_pointer(GLOBAL))
        bytes_each = context.get_constant(types.intp, context.get_abi_sizeof(number))
        arrays.populate_array(
            made,
            data=builder.addrspacecast(pointer, number.as_pointer()),
            shape=[given[2]],
            strides=[bytes_each],
            itemsize=bytes_each,
            meminfo=None,
        )
        return made._getvalue()


if not SIMULATED:
    _compiled()
