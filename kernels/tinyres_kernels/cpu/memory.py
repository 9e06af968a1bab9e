"""Arrays as compiled code takes them, and its scratch memory."""

import threading
from typing import Any

import numpy as np

from tinyres_kernels.guard import poison
from tinyres_kernels.namespace import Array

_own = threading.local()


def scratch(name: str, dtype: Any, size: int) -> Array:
    """A buffer of this thread's, kept from call to call: fresh memory would cost a page fault every 4 KB."""
    found = _own.__dict__.get(name)
    if found is None or found.nbytes < size * np.dtype(dtype).itemsize:
        found = _own.__dict__[name] = np.empty(size * np.dtype(dtype).itemsize, np.uint8)
    return poison(found[: size * np.dtype(dtype).itemsize]).view(dtype)


def flat(a: Array) -> Array:
    """The array as one line. Compiled code is made for writable arrays only, though it writes to none of these."""
    line = a.reshape(-1)
    if not line.flags.writeable:
        line = line.view()
        try:
            line.flags.writeable = True
        except ValueError:  # read-only to the bottom
            line = line.copy()
    return line


def check_contiguous(out: Array) -> None:
    if not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous to be written in place, got strides {out.strides} for {out.shape}")
