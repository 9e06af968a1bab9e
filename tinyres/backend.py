"""Which array library and which kernels serve an array, and moving arrays between devices.

Both are read off the array itself: there is no global device switch and no environment variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from tinyres_kernels import im2col, reference
from tinyres_kernels.namespace import namespace

from tinyres.context import context, current

__all__ = ["RUNGS", "device_of", "kernels", "kernels_for", "namespace", "to_device"]

RUNGS: dict[str, ModuleType] = {"reference": reference, "im2col": im2col}


def kernels_for(*arrays: Any) -> ModuleType:
    """The kernel module that serves these arrays: the forced rung, or the fastest that can."""
    forced = current().kernels
    return RUNGS[forced] if forced else im2col


@contextmanager
def kernels(name: str) -> Iterator[None]:
    """Force a rung of the kernel ladder inside the block: `with tr.kernels("reference"): ...`."""
    if name not in RUNGS:
        raise ValueError(f"kernels: no rung called {name!r}; there are {', '.join(RUNGS)}")
    with context(kernels=name):
        yield


def device_of(array: Any) -> str:
    """`cpu` for a NumPy array (or a number), `cuda` for a CuPy array."""
    return "cpu" if namespace(array) is np else "cuda"


def to_device(array: Any, device: str) -> Any:
    """The array on `device`; itself when it is there already."""
    if device not in ("cpu", "cuda"):
        raise ValueError(f"to: no device called {device!r}; there are 'cpu' and 'cuda'")
    if device_of(array) == device:
        return array
    if device == "cpu":
        return namespace(array).asnumpy(array)
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError(
            "to('cuda'): CuPy is not installed; pip install 'tinyres[cuda12]' or 'tinyres[cuda13]'. "
            "Everything also runs on the CPU"
        ) from error
    return cupy.asarray(array)
