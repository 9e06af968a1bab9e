"""A caching allocator: large arrays reuse the memory of arrays that are gone.

A fresh array of megabytes costs a page fault every 4 KB, which takes several times as long as writing to it. So a block
of memory is kept when the last array on it is gone, and given to the next array of that size.

Python's reference counts tell when that is. `np.asarray(lease)` makes an array on the lease's block and keeps the lease
as the array's `.base`, as does every view of it. When all of them are gone so is the lease, and its `__del__` returns
the block.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

LEAST = 1 << 16  # bytes of the smallest array that is served from here: below that, malloc is as quick
LIMIT = 1 << 30  # bytes that may lie idle

_ALIGN = 64  # bytes: a cache line, and the widest vector


class _Idle:
    """Unused blocks by size. Beyond `LIMIT`, the size whose last request is longest ago is dropped."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[int, list[Any]] = OrderedDict()
        self.bytes = 0

    def take(self, size: int) -> Any:
        """A block, and the address at which an array may begin in it."""
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
        block = np.empty(size + _ALIGN, np.uint8)
        start = block.ctypes.data  # slow to ask for, so it is kept with the block
        return block, start + -start % _ALIGN

    def give(self, size: int, block: Any) -> None:
        self.blocks.setdefault(size, []).append(block)
        self.bytes += size
        while self.bytes > LIMIT:
            oldest, stack = next(iter(self.blocks.items()))
            self.bytes -= oldest * len(stack)
            del self.blocks[oldest]


_idle = _Idle()


class _Lease:
    """Holds a block while arrays use it."""

    __slots__ = ("__array_interface__", "_block", "_size")

    def __init__(self, size: int, block: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._size = size
        self._block = block
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (block[1], False),
            "version": 3,
        }

    def __del__(self, give: Any = _idle.give) -> None:  # a default, since at exit `_idle` may be gone before the lease
        give(self._size, self._block)


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
    """`numpy.empty`, but a large array reuses memory if it can. Its contents are arbitrary."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size < LEAST:
        return np.empty(shape, dtype)
    return np.asarray(_Lease(size, _idle.take(size), shape, dtype))


def release() -> int:
    """Return all idle memory to the system; returns how many bytes that was."""
    freed = _idle.bytes
    _idle.blocks.clear()
    _idle.bytes = 0
    return freed
