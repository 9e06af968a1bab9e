"""Which kernels serve an array: read off the array itself, unless a block forces others."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from tinyres_kernels.checked import KernelDisagreement, checked

from tinyres.context import context, current

RUNGS = ("reference", "im2col", "cpu")  # for NumPy arrays, from the one to read to the one to use
CHECK = "check"  # what would run without being forced, each result held against im2col in float64
_COMPILED = (np.dtype("float32"), np.dtype("float64"))  # what the compiled rungs are made for


@cache
def kernel_module(name: str) -> ModuleType:
    """A kernel module, imported when it is first needed: Numba alone takes a good part of a second."""
    return importlib.import_module(f"tinyres_kernels.{name}")


@cache
def has_numba() -> bool:
    """Whether Numba compiles: it may be missing, refuse this NumPy or Python, or be told not to."""
    try:
        off = importlib.import_module("numba").config.DISABLE_JIT
        why = "Numba is told not to compile (NUMBA_DISABLE_JIT)" if off else ""
    except ModuleNotFoundError as error:
        why = "Numba is not installed" if error.name == "numba" else f"Numba cannot be imported ({error})"
    except Exception as error:  # whatever its own check of versions and libraries raises
        why = f"Numba cannot be imported ({error})"
    if why:
        print(f"tinyres: {why}, so all kernels run on plain NumPy, more slowly", file=sys.stderr)
    return not why


@cache
def _has_numba_cuda() -> bool:
    found = importlib.util.find_spec("numba_cuda") is not None
    if not found:
        print("tinyres: numba-cuda is not installed, so kernels on the GPU run as CuPy's own operations, more slowly",
              file=sys.stderr)  # fmt: skip
    return found


_WITH_NORM = "conv2d_norm", "conv2d_statistics"


@cache
def _cuda() -> Any:
    """The CUDA kernels, and whole-array operations for what they leave to CuPy (matrix products: cuBLAS). `MANY`: those
    which, beside, take many parameters in one launch; `_WITH_NORM`: convolutions with what follows them."""
    own, library = kernel_module("cuda"), kernel_module("im2col")
    kernels = {name: getattr(own, name, getattr(library, name)) for name in library.__all__}
    beside = {name: getattr(own, name) for name in ("MANY", "explain", *_WITH_NORM)}
    return SimpleNamespace(__name__=own.__name__, **beside, **kernels)


@cache
def _tensor_core() -> Any:
    """The CUDA kernels, with the convolutions on tensor cores: float32 only, and only on demand."""
    own = kernel_module("cuda.tensor_core")
    kernels = {**vars(_cuda()), **{name: getattr(own, name) for name in own.__all__}}
    of_others = "explain", *_WITH_NORM  # of the convolutions that these take the place of
    return SimpleNamespace(**{name: kernel for name, kernel in kernels.items() if name not in of_others})


_ON_DEMAND = {"cuda": _cuda, "tensor_core": _tensor_core}


def kernels_for(*arrays: Any) -> Any:
    """The kernels that serve these arrays, a function a name: those of the forced rung, or of the fastest that can."""
    forced = current().kernels
    if forced == CHECK:
        return _checked(_fastest(*arrays))
    if forced == "cpu":
        for a in arrays:
            if a.dtype not in _COMPILED:
                raise TypeError(
                    f"the kernels of the rung 'cpu' are made for float32 and float64, got {a.dtype}: convert it first, "
                    "or leave the choice of the rung to tinyres"
                )
    return _named(forced or _fastest(*arrays))


def _fastest(*arrays: Any) -> str:
    if all(isinstance(a, np.ndarray) and a.dtype in _COMPILED for a in arrays) and has_numba():
        return "cpu"
    return "cuda" if all(map(_on_gpu, arrays)) and _has_numba_cuda() else "im2col"


def _named(rung: str) -> Any:
    return _ON_DEMAND[rung]() if rung in _ON_DEMAND else kernel_module(rung)


@cache
def _checked(rung: str) -> Any:
    return checked(_named(rung))


def _on_gpu(array: Any) -> bool:
    """Whether CUDA kernels can take it."""
    return hasattr(type(array), "__cuda_array_interface__") and array.dtype in _COMPILED


@contextmanager
def kernels(name: str) -> Iterator[None]:
    """Force a rung of the kernel ladder inside the block: `with tr.kernels("reference"): ...`.

    `"check"` forces none: it runs what would have run, and holds each result against `im2col` in float64. A backward
    pass runs, and is checked, by where its forward ran, inside the block or not; only sums of cotangents, and the
    optimiser's step, go by where they run themselves. A convolutional net takes some eight times
    as long, a tiny one longer.

    Raises:
        ValueError: there is no such rung.
        ModuleNotFoundError: `"check"` needs hypothesis, which is missing.
        KernelDisagreement: of what runs under `"check"`: a kernel's result is wrong.
    """
    if name not in (*RUNGS, *_ON_DEMAND, CHECK):
        raise ValueError(
            f"kernels: no rung called {name!r}; there are {', '.join(RUNGS)}, and {' and '.join(_ON_DEMAND)} on a GPU; "
            f"{CHECK!r} holds the one that runs by itself against im2col"
        )
    if name == CHECK:
        kernel_module("conformance")  # or its sentence on what is missing
    with context(kernels=name):
        yield


__all__ = ["CHECK", "RUNGS", "KernelDisagreement", "has_numba", "kernel_module", "kernels", "kernels_for"]
