"""Arrays of other libraries, by the DLPack protocol: PyTorch, JAX, TensorFlow ... ."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays.devices import check_device

_CPU, _CUDA, _CUDA_MANAGED = 1, 2, 13  # DLDeviceType in dlpack.h
_OURS = ("numpy", "cupy", "tinyres")


def dlpack_array(x: Any) -> Any:
    """The memory of `x` as a NumPy or CuPy array; see `tinyres.from_dlpack`."""
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


def is_foreign(value: Any) -> bool:
    """Whether it is an array of a library that is neither NumPy nor CuPy, and no tensor of ours."""
    return hasattr(value, "__dlpack__") and type(value).__module__.partition(".")[0] not in _OURS


def foreign_array(x: Any, what: str, *, values: bool = False) -> Any:
    """The array of a foreign tensor, whose memory it shares.

    Args:
        what: the function that was given it, and as what: the beginning of the error.
        values: only its values are wanted, so that it may require a gradient.

    Raises:
        TypeError: it cannot be had: it requires a gradient, or NumPy has no such dtype or layout.
    """
    if values and getattr(x, "requires_grad", False):
        x = x.detach()
    try:
        return dlpack_array(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"{what} is a {name_of(x)} that DLPack does not hand over: {error}") from error


def name_of(value: Any) -> str:
    """The type of a value with its library: `torch.Tensor`."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return kind.__name__ if library == "builtins" else f"{library}.{kind.__name__}"


__all__ = ["dlpack_array", "foreign_array", "is_foreign", "name_of"]
