"""Devices: where an array is, and copies between CPU and GPU. The array itself tells; there is no global setting."""

from __future__ import annotations

from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays.layout import inverse_permutation, memory_order


class Device(str):
    """A device by its name: `tr.device("cuda:0")` is "cuda". Whatever takes a device takes a plain string, too."""

    def __new__(cls, name: str) -> Device:
        return super().__new__(cls, str(name).partition(":")[0])

    @property
    def type(self) -> str:
        return str(self)


def to_floats(*scalars: Any) -> list[float]:
    """One-element arrays as Python floats. From a GPU all come in one copy, so that the host waits for it only once."""
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
    """Copy an array to `device`, keeping its memory layout; an array that is already there is returned unchanged.

    Raises:
        ValueError: `device` is neither "cpu" nor "cuda".
        RuntimeError: this machine has no usable GPU; the message says what is missing.
    """
    check_device(device)
    if device_of(array) == device:
        return array
    # A copy between devices makes any array row-major. So copy a transposed view whose row-major order is the array's
    # memory order, and transpose the result back.
    order = memory_order(array) if getattr(array, "ndim", 0) > 1 else ()
    source = array.transpose(order) if order else array
    copied = namespace(array).asnumpy(source) if device == "cpu" else _cupy().asarray(source)
    return copied.transpose(inverse_permutation(order)) if order else copied


class cuda:
    """What scripts ask before they choose a device: `tr.cuda.is_available()`."""

    @staticmethod
    def is_available() -> bool:
        """Whether arrays can be on a GPU here."""
        try:
            _cupy()
        except RuntimeError:
            return False
        return True


def check_device(device: str) -> None:
    """Raise what `to_device` would raise, if arrays cannot be on `device` here."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"to: no device called {device!r}; there are 'cpu' and 'cuda'")
    if device == "cuda":
        _cupy()


def _cupy() -> Any:
    """CuPy, if it is installed and finds a GPU."""
    instead = "everything also runs on the device 'cpu', which is the default"
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "the device 'cuda' needs CuPy, which is not installed: pip install 'tinyres[cuda12]' or 'tinyres[cuda13]', "
            f"whichever version nvidia-smi shows; {instead}"
        ) from error
    if not cupy.cuda.is_available():
        try:
            found = f"{cupy.cuda.runtime.getDeviceCount()} devices"
        except Exception as error:  # a CUDARuntimeError, but versions of CuPy keep that class in different places
            found = str(error)
        raise RuntimeError(
            f"the device 'cuda' needs an NVIDIA GPU and its driver, and CuPy {cupy.__version__} found none ({found}); "
            f"nvidia-smi shows what the system sees; {instead}"
        )
    return cupy


__all__ = ["Device", "check_device", "cuda", "device_of", "to_device", "to_floats"]
