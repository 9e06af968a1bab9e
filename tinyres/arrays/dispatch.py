"""Kernel dispatch: which set of kernels computes on an array.

A *kernel set* is a module of functions on plain arrays (`conv2d`, `batch_norm`, ...), all with the same signatures:

    reference    loops: the specification, to read            NumPy arrays
    im2col       whole-array operations, no compiler          NumPy and CuPy arrays
    cpu          SIMD and threads, compiled by Numba          float32 and float64 NumPy arrays
    cuda         compiled by numba-cuda                       float32 and float64 CuPy arrays
    tensor_core  as cuda, convolutions on tensor cores        float32 CuPy arrays

The arrays decide which set runs, by their type and dtype, unless `with tr.kernels(name):` forces one.
"""

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
from tinyres_kernels.contract import OPERATIONS, kernel

from tinyres.context import context, current

KERNEL_SETS = ("reference", "im2col", "cpu")  # for NumPy arrays, from the most legible to the fastest
CHECK = "check"  # no set, but a mode: the set that would run anyway, with each result compared to im2col in float64
_COMPILED = (np.dtype("float32"), np.dtype("float64"))  # the dtypes that "cpu" and "cuda" compute in


@cache
def kernel_module(name: str) -> ModuleType:
    """A module of tinyres_kernels, imported on first use: importing Numba takes a good part of a second."""
    return importlib.import_module(f"tinyres_kernels.{name}")


@cache
def has_numba() -> bool:
    """Whether Numba can compile here. If not (it is missing, disabled, or rejects this Python), one line says why."""
    try:
        off = importlib.import_module("numba").config.DISABLE_JIT
        why = "Numba is told not to compile (NUMBA_DISABLE_JIT)" if off else ""
    except ModuleNotFoundError as error:
        why = "Numba is not installed" if error.name == "numba" else f"Numba cannot be imported ({error})"
    except Exception as error:  # Numba checks versions and libraries when imported, and raises all sorts of errors
        why = f"Numba cannot be imported ({error})"
    if why:
        print(f"tinyres: {why}, so all kernels run on plain NumPy, more slowly", file=sys.stderr)
    return not why


@cache
def _has_numba_cuda() -> bool:
    found = importlib.util.find_spec("numba_cuda") is not None
    if not found:
        print("tinyres: numba-cuda is not installed, so the GPU runs CuPy's own operations, more slowly",
              file=sys.stderr)  # fmt: skip
    return found


_WITH_NORM = "conv2d_norm", "conv2d_statistics"


@cache
def _cuda() -> Any:
    """The set "cuda". What has no kernel of ours, as matrix products, comes from im2col on CuPy arrays (here: cuBLAS).

    It has extras: `MANY`, optimiser steps that update many parameters in one launch, and `_WITH_NORM`, convolutions
    fused with a batch norm. Callers ask with `hasattr` whether a set has them.
    """
    own, library = kernel_module("cuda"), kernel_module("im2col")
    kernels = {name: getattr(own, name, getattr(library, name)) for name in OPERATIONS}
    extras = {name: getattr(own, name) for name in ("MANY", "explain", *_WITH_NORM)}
    return SimpleNamespace(__name__=own.__name__, **extras, **kernels)


@cache
def _tensor_core() -> Any:
    """The set "tensor_core": "cuda" with other convolutions, in float32 only. It runs only if forced."""
    own = kernel_module("cuda.tensor_core")
    kernels = {**vars(_cuda()), **{name: getattr(own, name) for name in ("conv2d", "conv2d_dx", "conv2d_dw")}}
    replaced = "explain", *_WITH_NORM  # these belong to the convolutions that are replaced
    return SimpleNamespace(**{name: kernel for name, kernel in kernels.items() if name not in replaced})


_GPU_SETS = {"cuda": _cuda, "tensor_core": _tensor_core}


def kernels_for(*arrays: Any) -> Any:
    """The kernel set for these arrays: the forced one, or else the fastest that can compute on all of them.

    kernels_for(x, w).conv2d(x, w, out, ...)
    """
    forced = current().kernels
    if isinstance(forced, SimpleNamespace):
        return forced
    if forced == CHECK:
        return _checked(_fastest(*arrays))
    if forced == "cpu":
        for a in arrays:
            if a.dtype not in _COMPILED:
                raise TypeError(
                    f"the kernel set 'cpu' computes in float32 and float64, got {a.dtype}: convert the array first, or "
                    "leave the choice of kernels to tinyres"
                )
    return _named(forced or _fastest(*arrays))


def _fastest(*arrays: Any) -> str:
    if all(isinstance(a, np.ndarray) and a.dtype in _COMPILED for a in arrays) and has_numba():
        return "cpu"
    return "cuda" if all(map(_on_gpu, arrays)) and _has_numba_cuda() else "im2col"


def _own(kernels: object) -> SimpleNamespace:
    """The kernel set of somebody's own functions, completed."""
    own = {name: kernel(name, getattr(kernels, name)) for name in OPERATIONS if hasattr(kernels, name)}
    if not own:
        raise ValueError(
            f"kernels: {getattr(kernels, '__name__', type(kernels).__name__)} has no function that is called after an "
            f"operation, such as conv2d(x, w, out, s); there are {', '.join(OPERATIONS)}"
        )
    library = kernel_module("im2col")
    return SimpleNamespace(**{name: own.get(name, getattr(library, name)) for name in OPERATIONS})


def _named(name: str) -> Any:
    return _GPU_SETS[name]() if name in _GPU_SETS else kernel_module(name)


@cache
def _checked(name: str) -> Any:
    return checked(_named(name))


def _on_gpu(array: Any) -> bool:
    """Whether the set "cuda" can compute on it."""
    return hasattr(type(array), "__cuda_array_interface__") and array.dtype in _COMPILED


@contextmanager
def kernels(name: str | object) -> Iterator[None]:
    """Force a kernel set inside the block: `with tr.kernels("reference"): ...`.

    A module or an object of your own will do: its functions serve the operations that they are named after, behind the
    contract, and `im2col` those that it has none for.

    "check" runs the kernels that would run anyway and compares each result with `im2col` in float64; a convolutional
    net then takes some eight times as long, a tiny one longer.

    An operation remembers the kernels of its forward, and its rules use the same ones in the backward pass, even after
    the block. Sums of cotangents and optimiser steps belong to no forward: the block they run in decides.

    Raises:
        ValueError: there is no such kernel set, or an object has no kernel at all.
        ModuleNotFoundError: "check" needs hypothesis, which is missing.
        KernelDisagreement: under "check", a kernel's result is wrong.
    """
    if not isinstance(name, str):
        with context(kernels=_own(name)):
            yield
        return
    if name not in (*KERNEL_SETS, *_GPU_SETS, CHECK):
        raise ValueError(
            f"kernels: no kernel set called {name!r}; there are {', '.join(KERNEL_SETS)}, on a GPU "
            f"{' and '.join(_GPU_SETS)}, and {CHECK!r}, which compares the usual kernels with im2col"
        )
    if name == CHECK:
        kernel_module("conformance")  # if hypothesis is missing, its import says so
    with context(kernels=name):
        yield


__all__ = ["CHECK", "KERNEL_SETS", "KernelDisagreement", "has_numba", "kernel_module", "kernels", "kernels_for"]
