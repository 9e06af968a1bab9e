"""Loads and stores of one number or of four, from and to memory, global or shared, in one instruction.

In Python (the simulator, `show`) each of these is what its body says; when Numba compiles it, it is an instruction. The
index is not negative, so nobody asks whether it counts from the end; four numbers begin at a multiple of 16 bytes.
"""

from typing import Any

from tinyres_kernels.cuda.host import SIMULATED, part_of_numba

WIDE = 4  # numbers
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


def _compiled() -> None:
    from llvmlite import ir

    cgutils, types, extending = map(part_of_numba, ("cgutils", "types", "extending"))

    def place(context, builder, array_type, array, index):
        held = context.make_array(array_type)(context, builder, array)
        return builder.gep(held.data, [index], inbounds=True)

    def vector_place(context, builder, array_type, array, index):
        vector = ir.VectorType(context.get_data_type(array_type.dtype), WIDE)
        return vector, builder.bitcast(place(context, builder, array_type, array, index), vector.as_pointer())

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


if not SIMULATED:
    _compiled()
