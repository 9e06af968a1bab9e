"""Arrays of other libraries as tensors, without a copy, by the DLPack protocol. The way out is `Tensor.__dlpack__`."""

from __future__ import annotations

from typing import Any

from tinyres.arrays.foreign import dlpack_array
from tinyres.autograd.tensor import Tensor, wrap


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


__all__ = ["from_dlpack"]
