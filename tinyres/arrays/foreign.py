"""Arrays of other libraries (PyTorch, JAX, TensorFlow ...), through the DLPack protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays.devices import check_device

_CPU, _CUDA, _CUDA_MANAGED = 1, 2, 13  # DLDeviceType in dlpack.h
_OURS = ("numpy", "cupy", "tinyres")


def dlpack_array(x: Any) -> Any:
    """A NumPy or CuPy array that shares the memory of `x`; see `tinyres.from_dlpack`."""
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"from_dlpack: {type(x).__name__} has no __dlpack__; tr.tensor(...) copies numbers and arrays")
    kind = int(x.__dlpack_device__()[0])
    if kind == _CPU:
        return np.from_dlpack(x)
    if kind not in (_CUDA, _CUDA_MANAGED):
        raise ValueError(
            f"from_dlpack: needs an array on the CPU (DLPack device type 1) or a CUDA GPU (2), got type {kind}; "
            "move it to one of these first"
        )
    check_device("cuda")
    import cupy

    return cupy.from_dlpack(x)


def is_foreign(value: Any) -> bool:
    """Whether it is an array of another library: neither NumPy's, nor CuPy's, nor a tensor of tinyres."""
    return hasattr(value, "__dlpack__") and type(value).__module__.partition(".")[0] not in _OURS


def foreign_array(x: Any, what: str, *, values: bool = False) -> Any:
    """The NumPy or CuPy array behind another library's tensor; the two share memory.

    Args:
        what: how an error begins: the function and the argument, "save: 'weight'".
        values: only the values matter, so a tensor that requires a gradient is detached instead of refused.

    Raises:
        TypeError: it requires a gradient, or NumPy has no such dtype or layout.
    """
    if values and getattr(x, "requires_grad", False):
        x = x.detach()
    if str(getattr(x, "dtype", "")).endswith("bfloat16"):
        raise TypeError(
            f"{what} is a {name_of(x)} of bfloat16, which NumPy does not have: make it float32 first, with x.float() "
            "or x.astype('float32'), which loses nothing"
        )
    try:
        return dlpack_array(x)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(f"{what} is a {name_of(x)} that cannot be read through DLPack: {error}") from error


def name_of(value: Any) -> str:
    """The type of a value with its library, "torch.Tensor": for error messages."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    return kind.__name__ if library == "builtins" else f"{library}.{kind.__name__}"


__all__ = ["dlpack_array", "foreign_array", "is_foreign", "name_of"]
