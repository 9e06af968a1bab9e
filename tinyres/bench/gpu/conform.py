"""Conformance of the CUDA kernels on CuPy arrays: every operation, every named case, some drawn ones, both dtypes.

What `tinyres_kernels.conformance` makes are NumPy arrays; they are brought to the card with the guards around them, and
back again, so that a write out of bounds is seen there too. Each operation also has them between the multiples of 16
bytes, where four numbers cannot be loaded at once; the convolutions go both ways, naive and tiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tinyres_kernels.dispatch import each

from tinyres import arrays
from tinyres.bench.gpu.parts import Row, attempt

CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
MOVED = "moved by one number"
EXAMPLES = 20  # drawn beyond the named cases
SHOWN = 3  # faults told of a failing operation

Kernel = Callable[..., Any]


def rows(rounds: int) -> Iterator[Row]:
    from tinyres_kernels.conformance import OPS

    rung = arrays.kernels_for(arrays.to_device(np.ones(1, np.float32), "cuda"))
    yield {"name": "rung", "rung": rung.__name__}
    for op in OPS:
        for way, kernel in ways(rung, op).items():
            on = on_card(kernel, moved=way == MOVED)
            yield attempt(f"{op}, {way}" if way else op, lambda op=op, on=on: conform(on, op))  # type: ignore[misc]


def conform(kernel: Kernel, op: str) -> Row:
    """How many cases were put to it, how many failed, and what the first ones did."""
    from tinyres_kernels.conformance import check

    report = check(kernel, op, examples=EXAMPLES)
    told = [f"{f.case.title} ({f.case.dtype}): {'; '.join(f.faults[:2])}" for f in report.failures[:SHOWN]]
    return {"cases": len(report.named) + report.tries, "failed": len(report.failures), "faults": told}


def on_card(kernel: Kernel, moved: bool = False) -> Kernel:
    """The kernel, for NumPy arrays: they travel with whatever memory they are views of, and come back.

    `moved`: each lies one number further on than it would, so not at a multiple of 16 bytes.
    """

    def call(*arguments: Any) -> None:
        places = list[_Place]()

        def put(a: Any) -> Any:
            places.append(_Place(a, _there(_whole(a), moved)))
            return places[-1].part()

        kernel(*each(arguments, put))
        for place in places:
            place.bring_back()

    call.__module__, call.__qualname__ = getattr(kernel, "__module__", "?"), getattr(kernel, "__qualname__", "?")
    return call


def _whole(array: Any) -> Any:
    """The flat memory that an array between guards is a part of; the array itself where it is a whole one."""
    return array if array.base is None else array.base


def _there(whole: Any, moved: bool) -> Any:
    there = arrays.to_device(whole, "cuda")
    if not moved:
        return there
    room = arrays.empty((there.size + 1,), there)[1:]
    room[...] = there.reshape(-1)
    return room.reshape(there.shape)


class _Place:
    """An array of the host, and the memory that it is a part of on the card."""

    def __init__(self, array: Any, there: Any) -> None:
        self.array, self.there = array, there

    def part(self) -> Any:
        a, whole = self.array, _whole(self.array)
        if whole is a:
            return self.there
        line = self.there.reshape(-1)[(a.ctypes.data - whole.ctypes.data) // a.itemsize :]
        strided = arrays.namespace(line).lib.stride_tricks.as_strided
        return line[: a.size].reshape(a.shape) if a.flags.c_contiguous else strided(line, a.shape, a.strides)

    def bring_back(self) -> None:
        whole, back = _whole(self.array), arrays.to_device(self.there, "cpu")
        if self.array.flags.writeable:
            whole[...] = back
        elif back.tobytes() != whole.tobytes():
            raise RuntimeError("wrote into an array that is read-only")


def ways(rung: Any, op: str) -> dict[str, Kernel]:
    """The kernel as it is called; on arrays that are moved by one number, which take another kernel, that loads one
    number at a time; for a convolution of the CUDA kernels, naive and tiled whatever it would choose."""
    kernel = getattr(rung, op)
    if op not in CONVOLUTIONS or not rung.__name__.endswith(".cuda"):
        return {"": kernel, MOVED: kernel}
    from tinyres_kernels.cuda import conv

    def least(columns: int) -> Kernel:
        def call(*arrays: Any, **how: Any) -> Any:
            with _least(conv, columns):
                return kernel(*arrays, **how)

        return call

    return {"": kernel, MOVED: kernel, "naive": least(1 << 30), "tiled": least(0)}


@contextmanager
def _least(conv: Any, columns: int) -> Iterator[None]:
    """Inside, tiles are for groups of at least so many columns."""
    usual = conv.LEAST
    conv.LEAST = columns
    try:
        yield
    finally:
        conv.LEAST = usual
