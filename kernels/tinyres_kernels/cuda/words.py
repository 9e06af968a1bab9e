"""Loads and stores of one number or of four, from and to memory, global or shared, in one instruction; and copies from
global to shared memory that need no register, and that a thread does not wait for (`cp.async`).

In Python (the simulator, `show`) each of these is what its body says; when Numba compiles it, it is an instruction. The
index is not negative, so nobody asks whether it counts from the end; four numbers begin at a multiple of 16 bytes.
"""

import threading
from typing import Any

from tinyres_kernels.cuda.host import SIMULATED, part_of_numba

WIDE = 4  # numbers
SHARED = 3  # the address space of shared memory
ALIGNED = None if SIMULATED else 16  # bytes: of arrays in shared memory, a setting that the simulator refuses


def load1(array: Any, i: Any) -> Any:
    """array[i]"""
    return array[i]


def store1(array: Any, i: Any, a: Any) -> None:
    """array[i] = a"""
    array[i] = a


def load4(array: Any, i: Any) -> Any:
    """array[i], ..., array[i + 3]"""
    return array[i], array[i + 1], array[i + 2], array[i + 3]


def store4(array: Any, i: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """array[i], ..., array[i + 3] = a, b, c, d"""
    array[i] = a
    array[i + 1] = b
    array[i + 2] = c
    array[i + 3] = d


def copy1(array: Any, i: Any, source: Any, j: Any, there: Any) -> None:
    """array[i] = source[j], or zero if it is not `there`: begun, not done."""
    _groups()[-1].append((array, i, source, j, there, 1))


def copy4(array: Any, i: Any, source: Any, j: Any, there: Any) -> None:
    """array[i], ..., array[i + 3] = source[j], ..., source[j + 3], or zeros if it is not `there`: begun, not done."""
    _groups()[-1].append((array, i, source, j, there, WIDE))


def commit_copies() -> None:
    """The copies that this thread has begun since the last time are a group."""
    _groups().append([])


def wait_for_copies() -> None:
    """Until the copies that this thread has begun are done; those of other threads are behind the next barrier."""
    _finish(len(_groups()))


def wait_for_older_copies() -> None:
    """Until all groups are done but the latest."""
    _finish(len(_groups()) - 2)  # the last one is not a group yet


_own = threading.local()


def _groups() -> list[list[Any]]:
    """Copies on their way, of this thread, where there is no GPU: who forgets to wait reads what was there before."""
    if not hasattr(_own, "groups"):
        _own.groups = [[]]
    found: list[list[Any]] = _own.groups
    return found


def _finish(count: int) -> None:
    groups = _groups()
    for array, i, source, j, there, width in (copy for group in groups[: max(0, count)] for copy in group):
        for more in range(width):
            array[i + more] = source[j + more] if there else 0
    _own.groups = groups[max(0, count) :] or [[]]


def _compiled() -> None:
    from llvmlite import ir

    cgutils, types, extending = map(part_of_numba, ("cgutils", "types", "extending"))

    def place(context, builder, array_type, array, index):
        held = context.make_array(array_type)(context, builder, array)
        return builder.gep(held.data, [index], inbounds=True)

    def vector_place(context, builder, array_type, array, index):
        vector = ir.VectorType(context.get_data_type(array_type.dtype), WIDE)
        return vector, builder.bitcast(place(context, builder, array_type, array, index), vector.as_pointer())

    def asynchronous():
        """Whether the card that is compiled for copies so: where not, a copy is a load and a store."""
        return part_of_numba("core.targetconfig").ConfigStack().top().compute_capability >= (8, 0)

    def lane(number):
        return ir.Constant(ir.IntType(32), number)

    @extending.type_callable(load1)
    def type_load1(context):
        return lambda array, i: array.dtype

    @extending.lower_builtin(load1, types.Array, types.Integer)
    def lower_load1(context, builder, signature, given):
        return builder.load(place(context, builder, signature.args[0], *given))

    @extending.type_callable(load4)
    def type_load4(context):
        return lambda array, i: types.UniTuple(array.dtype, WIDE)

    @extending.lower_builtin(load4, types.Array, types.Integer)
    def lower_load4(context, builder, signature, given):
        _, pointer = vector_place(context, builder, signature.args[0], *given)
        loaded = builder.load(pointer, align=ALIGNED)
        return cgutils.pack_array(builder, [builder.extract_element(loaded, lane(i)) for i in range(WIDE)])

    @extending.type_callable(store1)
    def type_store1(context):
        return lambda array, i, a: types.void

    @extending.lower_builtin(store1, types.Array, types.Integer, types.Number)
    def lower_store1(context, builder, signature, given):
        builder.store(given[2], place(context, builder, signature.args[0], *given[:2]))
        return context.get_dummy_value()

    @extending.type_callable(store4)
    def type_store4(context):
        return lambda array, i, a, b, c, d: types.void

    @extending.lower_builtin(store4, types.Array, types.Integer, *[types.Number] * WIDE)
    def lower_store4(context, builder, signature, given):
        vector, pointer = vector_place(context, builder, signature.args[0], *given[:2])
        value = ir.Constant(vector, ir.Undefined)
        for i, number in enumerate(given[2:]):
            value = builder.insert_element(value, number, lane(i))
        builder.store(value, pointer, align=ALIGNED)
        return context.get_dummy_value()

    def lower_copy(width):
        """By `cp.async`, which is a load and a store on cards that have none."""

        def lower(context, builder, signature, given):
            to_type, _, from_type, _, _ = signature.args
            number, size = context.get_data_type(to_type.dtype), to_type.dtype.bitwidth // 8
            to, source = place(context, builder, to_type, *given[:2]), place(context, builder, from_type, *given[2:4])
            if not asynchronous():
                vector, align = ir.VectorType(number, width), ALIGNED if width == WIDE else size
                to, source = (builder.bitcast(pointer, vector.as_pointer()) for pointer in (to, source))
                with builder.if_else(given[4]) as (there, elsewhere):
                    with there:
                        builder.store(builder.load(source, align=align), to, align=align)
                    with elsewhere:
                        builder.store(ir.Constant(vector, [0.0] * width), to, align=align)
                return context.get_dummy_value()
            word, far = ir.IntType(32), ir.IntType(64)
            step = 16 if width == WIDE else size  # bytes that an instruction copies
            to = builder.ptrtoint(builder.addrspacecast(to, number.as_pointer(SHARED)), word)
            source = builder.ptrtoint(source, far)
            count = builder.select(given[4], ir.Constant(word, step), ir.Constant(word, 0))
            copy = ir.FunctionType(ir.VoidType(), [word, far, word])
            written = f"cp.async.{'cg' if step == 16 else 'ca'}.shared.global [$0], [$1], {step}, $2;"
            for more in range(0, width * size, step):
                at = [builder.add(to, ir.Constant(word, more)), builder.add(source, ir.Constant(far, more)), count]
                builder.asm(copy, written, "r,l,r,~{memory}", at, True)
            return context.get_dummy_value()

        return lower

    def lower_order(instruction):
        def lower(context, builder, signature, given):
            if asynchronous():
                builder.asm(ir.FunctionType(ir.VoidType(), []), instruction, "~{memory}", [], True)
            return context.get_dummy_value()

        return lower

    for copy, width in ((copy1, 1), (copy4, WIDE)):
        extending.type_callable(copy)(lambda context: lambda array, i, source, j, there: types.void)
        given = types.Array, types.Integer, types.Array, types.Integer, types.Boolean
        extending.lower_builtin(copy, *given)(lower_copy(width))
    for order, instruction in (
        (commit_copies, "cp.async.commit_group;"),
        (wait_for_copies, "cp.async.wait_all;"),
        (wait_for_older_copies, "cp.async.wait_group 1;"),
    ):
        extending.type_callable(order)(lambda context: lambda: types.void)
        extending.lower_builtin(order)(lower_order(instruction))


if not SIMULATED:
    _compiled()
