"""Arrays as compiled code takes them, and its scratch memory."""

import threading
from typing import Any

import numpy as np

from tinyres_kernels.guard import poison
from tinyres_kernels.namespace import Array

LINE = 64  # bytes of a cache line, and of the widest vector

_own = threading.local()


def scratch(name: str, dtype: Any, size: int) -> Array:
    """This thread's buffer, kept from call to call: fresh memory would cost a page fault every 4 KB.

    It begins with a cache line. C's large blocks begin 16 bytes later, where each wide vector lies across two lines: to
    write transformed tiles took twice as long.
    """
    many = size * np.dtype(dtype).itemsize
    found = _own.__dict__.get(name)
    if found is None or found.nbytes < many:
        block = np.empty(many + LINE, np.uint8)
        start = -block.ctypes.data % LINE
        found = _own.__dict__[name] = block[start : start + many]
    return poison(found[:many]).view(dtype)


def native(a: Array) -> Array:
    """The array, of any strides, as compiled code takes it: in the machine's byte order, aligned, and marked writable.

    Compiled code is made for writable arrays only, though it writes to none of these.
    """
    if a.flags.behaved and a.dtype.isnative:
        return a
    if a.flags.aligned and a.dtype.isnative:
        view = a.view()
        try:
            view.flags.writeable = True
        except ValueError:  # read-only to the bottom
            return a.copy()
        return view
    return a.astype(a.dtype.newbyteorder("="), order="C")


def flat(a: Array) -> Array:
    """The array as one line, copied where it does not lie in one: a reshaped strided array may be strided, too."""
    if not (a.flags.carray and a.dtype.isnative):  # else there is nothing to do
        a = np.ascontiguousarray(native(a))
    return a.reshape(-1)


def spanned(a: Array) -> tuple[Array, tuple[int, ...]]:
    """The memory from the array's first element to its last as one line, and its strides in elements. It is copied
    where its last axis does not lie element by element, or an axis runs backwards."""
    a = native(a)
    size = a.itemsize
    if a.flags.c_contiguous:
        steps = tuple(stride // size for stride in a.strides)
        return a.reshape(-1), steps
    fits = (a.shape[-1] == 1 or a.strides[-1] == size) and all(s >= 0 and s % size == 0 for s in a.strides)
    if not fits:
        return spanned(np.ascontiguousarray(a))
    steps = tuple(stride // size for stride in a.strides)
    end = 1 + sum((n - 1) * step for n, step in zip(a.shape, steps, strict=True))
    return np.lib.stride_tricks.as_strided(a, (end,), (size,)), steps
