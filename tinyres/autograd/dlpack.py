"""from_dlpack: tensors that share memory with other libraries. The opposite direction is `Tensor.__dlpack__`."""

from __future__ import annotations

from typing import Any

from tinyres.arrays.foreign import dlpack_array
from tinyres.autograd.tensor import Tensor, wrap


def from_dlpack(x: Any) -> Tensor:
    """A tensor that shares the memory of `x`, an array of another library (PyTorch, JAX, CuPy, NumPy ...).

    Do not write into `x` afterwards: a graph may have saved it. For a copy use `tr.tensor(tr.from_dlpack(x))`. On a GPU
    the protocol synchronises the two libraries' streams.

    Raises:
        TypeError: `x` has no `__dlpack__`.
        BufferError: `x` refuses to share its memory, as a PyTorch tensor that requires a gradient does: detach it.
        ValueError: `x` is on a device that is neither the CPU nor a CUDA GPU.
        RuntimeError: `x` is on a CUDA GPU, and CuPy is missing.
    """
    return wrap(dlpack_array(x))


__all__ = ["from_dlpack"]
