"""Arrays between guards, which show whether a kernel wrote beyond them."""

from math import prod
from typing import Any

import numpy as np

from tinyres_kernels.conformance.calling import Arrays
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.namespace import Array

GUARD, FENCE = 1024, -7254.5  # elements before and after an array that nobody may touch, and what they hold
UNTOUCHED = -77  # what a result of integers holds before, which have no NaN


class Overrun(Exception):
    """A kernel wrote beyond copies of its arrays. `faults` are sentences as of `overruns`."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def guarded(case: Case, held: float) -> tuple[Arrays, Arrays]:
    """Buffers, and the arrays that the kernel is to write: they lie between guards in them and hold `held`."""
    buffers, outputs = {}, {}
    for arg in case.writes:
        shape, dtype = case.shape(arg), arg.dtype or case.dtype
        buffers[arg.name], outputs[arg.name] = between_guards(shape, dtype)
        outputs[arg.name][...] = np.nan_to_num(held, nan=UNTOUCHED) if np.dtype(dtype).kind == "i" else held
    return buffers, outputs


def between_guards(shape: tuple[int, ...], dtype: Any) -> tuple[Array, Array]:
    """A buffer, and the array in the middle of it."""
    buffer = np.full(prod(shape) + 2 * GUARD, FENCE).astype(dtype)
    return buffer, buffer[GUARD : GUARD + prod(shape)].reshape(shape)


def overruns(buffers: Arrays) -> list[str]:
    """The faults of a kernel that wrote into guards."""
    return [
        f"wrote {'before the beginning' if side == 0 else 'past the end'} of {name}"
        for name, buffer in buffers.items()
        for side, guard in enumerate((buffer[:GUARD], buffer[-GUARD:]))
        if (guard != np.full(1, FENCE).astype(guard.dtype)).any()
    ]
