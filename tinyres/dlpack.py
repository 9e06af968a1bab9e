"""Arrays of other libraries as tensors, without a copy, by the DLPack protocol. The way out is `Tensor.__dlpack__`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.backend import check_device
from tinyres.tensor import Array, Tensor, wrap

_CPU, _CUDA, _CUDA_MANAGED = 1, 2, 13  # DLDeviceType in dlpack.h


def from_dlpack(x: Any) -> Tensor:
    """A tensor on the memory of `x`, an array of another library (PyTorch, JAX, CuPy, NumPy ...): nothing is copied.

    A tensor is a value, and a graph may have saved it: write nothing into `x` afterwards, or make a copy with
    `tr.tensor(tr.from_dlpack(x))`. On a GPU the two libraries' streams are ordered by the protocol.

    Raises:
        TypeError: `x` has no `__dlpack__`.
        BufferError: it will not hand out its memory, e.g. a PyTorch tensor that requires a gradient: detach it.
        ValueError: it is on a device that is neither the CPU nor a CUDA GPU.
        RuntimeError: it is on a CUDA GPU, and CuPy is missing.
    """
    return wrap(dlpack_array(x))


def dlpack_array(x: Any) -> Array:
    """The raw array of `from_dlpack`."""
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__; tr.tensor(...) copies numbers and arrays")
    kind = int(x.__dlpack_device__()[0])
    if kind == _CPU:
        return np.from_dlpack(x)
    if kind not in (_CUDA, _CUDA_MANAGED):
        raise ValueError(f"from_dlpack: device type {kind} of DLPack is neither CPU (1) nor CUDA (2); move it there")
    check_device("cuda")
    import cupy

    return cupy.from_dlpack(x)


__all__ = ["from_dlpack"]
