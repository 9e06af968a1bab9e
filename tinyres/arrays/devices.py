"""On which device an array is, and moving it to another. There is no global switch and no environment variable."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays.layout import inverse, memory_order


def numbers(*scalars: Any) -> list[float]:
    """Arrays of one element each as Python floats; from a GPU they come in one copy, for which it is waited once."""
    if not scalars:
        return []
    xp = namespace(*scalars)
    if xp is np:
        return [float(scalar) for scalar in scalars]
    found: list[float] = to_device(xp.stack([s.reshape(()).astype("float64") for s in scalars]), "cpu").tolist()
    return found


def device_of(array: Any) -> str:
    """`cpu` for a NumPy array (or a number), `cuda` for a CuPy array."""
    return "cpu" if namespace(array) is np else "cuda"


def to_device(array: Any, device: str) -> Any:
    """The array on `device`, with its axes in memory as they were; itself when it is there already.

    Raises:
        ValueError: there is no such device.
        RuntimeError: this machine cannot compute there; the sentence says what is missing.
    """
    check_device(device)
    if device_of(array) == device:
        return array
    # A copy between devices keeps only the row-major layout: the array travels with its axes in the order of memory.
    order = memory_order(array) if getattr(array, "ndim", 0) > 1 else []
    travelling = array.transpose(order) if order else array
    arrived = namespace(array).asnumpy(travelling) if device == "cpu" else _cupy().asarray(travelling)
    return arrived.transpose(inverse(order)) if order else arrived


def check_device(device: str) -> None:
    """Nothing where arrays can be on `device`. Raises what `to_device` raises."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"to: no device called {device!r}; there are 'cpu' and 'cuda'")
    if device == "cuda":
        _cupy()


def _cupy() -> Any:
    instead = "everything also runs on the device 'cpu', which is the default"
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "the device 'cuda' needs CuPy, which is not installed: pip install 'tinyres[cuda12]' or 'tinyres[cuda13]', "
            f"as the driver's version has it; {instead}"
        ) from error
    if not cupy.cuda.is_available():
        try:
            found = f"{cupy.cuda.runtime.getDeviceCount()} devices"
        except Exception as error:  # its class, CUDARuntimeError, has moved between CuPy's versions
            found = str(error)
        raise RuntimeError(
            f"the device 'cuda' needs an NVIDIA GPU and its driver, and CuPy {cupy.__version__} found none ({found}); "
            f"nvidia-smi shows what the system sees; {instead}"
        )
    return cupy


__all__ = ["check_device", "device_of", "numbers", "to_device"]
