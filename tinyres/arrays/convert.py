"""A new array of numbers, nested lists, an array, or a tensor of another library."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays.foreign import foreign_array, is_foreign


def numeric(array: Any, given: Any, what: str = "tensor:") -> Any:
    """The array, if it holds numbers: NumPy also makes arrays of strings, objects and ragged lists."""
    if array.dtype.kind not in "biufc":
        kind = f"an array of dtype {array.dtype}" if hasattr(given, "dtype") else type(given).__name__
        raise TypeError(f"{what} {kind} does not hold numbers of one rectangular shape")
    return array


def new_array(data: Any, dtype: Any = None, what: str = "tensor:") -> Any:
    """A copy of the data as an array on the device where it is. Python floats become float32, as in PyTorch.

    Args:
        what: the beginning of the error's sentence.

    Raises:
        TypeError: it does not hold numbers of one rectangular shape.
    """
    if is_foreign(data):
        data = foreign_array(data, "tensor: data", values=True)
    if hasattr(data, "dtype"):
        return numeric(namespace(data).array(data, dtype=dtype), data, what)
    try:
        array = numeric(np.array(data, dtype=dtype), data, what)
    except ValueError as error:  # lists of different lengths
        raise TypeError(f"{what} {type(data).__name__} does not hold numbers of one rectangular shape") from error
    if dtype is None and array.dtype == np.float64:  # Python floats
        array = array.astype(np.float32)
    return array


__all__ = ["new_array", "numeric"]
