"""Arrays as the simulated kernels are to meet them: off their alignment, and holding nothing that was right once."""

import numpy as np
from tinyres_kernels.dispatch import each


def moved(kernel):
    """The kernel, on arrays that begin one number past a multiple of 16 bytes: where none can be loaded by fours."""

    def body(*arguments):
        there = []

        def put(array):
            part, memory = one_on(array)
            there.append((array, memory))
            return part

        kernel(*each(arguments, put))
        for array, memory in there:
            if array.flags.writeable:
                whole_of(array)[...] = memory

    return body


def whole_of(array):
    """The memory that an array between guards is a part of; the array itself where it is a whole one."""
    return array if array.base is None else array.base


def one_on(array):
    """The array one number past a multiple of 16 bytes, and a copy of the whole memory that it is a part of there."""
    whole = whole_of(array)
    before = (array.ctypes.data - whole.ctypes.data) // array.itemsize
    room = np.empty(whole.size + 16, array.dtype)
    ahead = (1 - before - room.ctypes.data // array.itemsize) % (16 // array.itemsize)
    memory = room[ahead : ahead + whole.size]
    memory[...] = whole.reshape(-1)
    part = memory[before : before + array.size].reshape(array.shape)
    part.flags.writeable = array.flags.writeable
    assert part.ctypes.data % 16 == array.itemsize or not array.size
    return part, memory.reshape(whole.shape)


def aligned(fours):
    """`load4` or `store4`, which fails as the GPU does where the first number is not at a multiple of 16 bytes."""

    def call(array, i, *numbers):
        if (array.ctypes.data + int(i) * array.itemsize) % 16:
            raise ValueError(f"MISALIGNED: four numbers from index {i} of an array at {array.ctypes.data:#x}")
        return fours(array, i, *numbers)

    return call


def unwritten(empty):
    """Room that holds NaN, or a large number: nothing that was right once."""

    def call(*given, **how):
        made = empty(*given, **how)
        made.fill(np.nan if made.dtype.kind == "f" else -77 if made.dtype.kind == "i" else 77)
        return made

    return call
