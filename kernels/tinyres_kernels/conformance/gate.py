"""The gate before every kernel that is checked: a call with arguments that its contract does not allow never happens.

Whoever wrote the kernel was promised that shapes fit and nothing is empty. A compiled kernel that is handed anything
else may write beyond its arrays, into the memory of the process that checks it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.dispatch import each
from tinyres_kernels.namespace import Array

Turns = Mapping[str, tuple[int, ...]]  # of arrays by name: the order that brings their axes back to the contract's


class Misfit(AssertionError):
    """A fault of the checker's own: it was about to call a kernel with arguments that the contract does not allow."""


def gated(kernel: Callable[..., Any], op: str, readings: Sequence[Turns]) -> Callable[..., Any]:
    """The kernel, called only with arguments that fit in each of these readings: the axes of an array may be taken in
    the order of the one who hands it over, and in that of the kernel's author.

    A kernel that has its contract before it already comes back as it is.
    """
    if hasattr(kernel, "contract"):
        return kernel

    @wraps(kernel)
    def call(*given: Any) -> Any:
        for reading in readings:
            refuse_misfits(op, given, reading)
        return kernel(*given)

    return call


def refuse_misfits(op: str, given: Sequence[Any], reading: Turns) -> None:
    """Raises Misfit where the contract would not let these arguments through, or an array is empty."""
    operation = OPERATIONS[op]

    def stand_in(name: str) -> Callable[[Array], Array]:
        def empty(a: Array) -> Array:
            order = reading.get(name)
            return np.empty([a.shape[i] for i in order] if order else a.shape, a.dtype)

        return empty

    names = operation.arrays
    arrays = [each([a], stand_in(name))[0] for name, a in zip(names, given, strict=False)]
    try:
        fits = operation.admit(*arrays, *given[len(names) :])
    except (ValueError, TypeError) as error:
        raise Misfit(f"{op} was about to be called with arguments that do not fit: {error}") from error
    if not fits or not all(a.size for a in operation.one_by_one(arrays).values()):
        raise Misfit(f"{op} was about to be called with an empty array")


__all__ = ["Misfit", "gated", "refuse_misfits"]
