"""Large arrays out of memory that was used before.

A fresh array of megabytes costs a page fault every 4 KB, several times what writing it costs. So memory is kept when
the last array on it dies, and handed out again. Who still reads it is for Python's reference counts to say: a block
belongs to a `_Lease`, which every array and view on it keeps alive, and comes back when the lease dies.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

LEAST = 1 << 16  # bytes; below, the C library's own free lists are as quick
LIMIT = 1 << 30  # bytes that may lie idle

_ALIGN = 64  # bytes: a cache line, and the widest vector


class _Idle:
    """Blocks that nobody uses, by size; the size that was asked for longest ago goes first when it is too much."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[int, list[Any]] = OrderedDict()
        self.bytes = 0

    def take(self, size: int) -> Any:
        stack = self.blocks.get(size)
        if stack is None:
            self.blocks[size] = []
        else:
            self.blocks.move_to_end(size)
            try:
                block = stack.pop()
            except IndexError:
                pass
            else:
                self.bytes -= size
                return block
        return np.empty(size + _ALIGN, np.uint8)

    def give(self, size: int, block: Any) -> None:
        self.blocks.setdefault(size, []).append(block)
        self.bytes += size
        while self.bytes > LIMIT:
            oldest, stack = next(iter(self.blocks.items()))
            self.bytes -= oldest * len(stack)
            del self.blocks[oldest]


_idle = _Idle()


class _Lease:
    """A block for as long as an array lies on it."""

    __slots__ = ("__array_interface__", "_block", "_size")

    def __init__(self, size: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._size = size
        self._block = _idle.take(size)
        start = self._block.ctypes.data
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (start + -start % _ALIGN, False),
            "version": 3,
        }

    def __del__(self, give: Any = _idle.give) -> None:  # bound here: at exit the module's names are gone first
        give(self._size, self._block)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`numpy.empty`, from recycled memory where the array is large. Contents are whatever was left there."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < LEAST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(size, shape, dtype))


def release() -> int:
    """Give all idle memory back to the system; returns how many bytes."""
    freed = _idle.bytes
    _idle.blocks.clear()
    _idle.bytes = 0
    return freed
