"""Which array library and which kernels serve an array, and moving arrays between devices.

Both are read off the array itself: there is no global device switch and no environment variable.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from tinyres_kernels.checked import KernelDisagreement, checked
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.namespace import namespace

from tinyres import memory
from tinyres.context import context, current

__all__ = [
    "CHECK",
    "RUNGS",
    "KernelDisagreement",
    "check_device",
    "device_of",
    "empty",
    "empty_in_order",
    "get_num_threads",
    "in_line",
    "inverse",
    "kernels",
    "kernels_for",
    "like_line",
    "line",
    "memory_order",
    "namespace",
    "numbers",
    "set_num_threads",
    "to_device",
]

RUNGS = ("reference", "im2col", "cpu")  # for NumPy arrays, from the one to read to the one to use
CHECK = "check"  # what would run without being forced, each result held against im2col in float64
_COMPILED = (np.dtype("float32"), np.dtype("float64"))  # what the compiled rungs are made for


@cache
def _rung(name: str) -> ModuleType:
    """A kernel module, imported when it is first needed: Numba alone takes a good part of a second."""
    return importlib.import_module(f"tinyres_kernels.{name}")


@cache
def _has_numba() -> bool:
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
    own, library = _rung("cuda"), _rung("im2col")
    kernels = {name: getattr(own, name, getattr(library, name)) for name in OPERATIONS}
    beside = {name: getattr(own, name) for name in ("MANY", "explain", *_WITH_NORM)}
    return SimpleNamespace(__name__=own.__name__, **beside, **kernels)


@cache
def _tensor_core() -> Any:
    """The CUDA kernels, with the convolutions on tensor cores: float32 only, and only on demand."""
    own = _rung("cuda.tensor_core")
    kernels = {**vars(_cuda()), **{name: getattr(own, name) for name in ("conv2d", "conv2d_dx", "conv2d_dw")}}
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
    if all(isinstance(a, np.ndarray) and a.dtype in _COMPILED for a in arrays) and _has_numba():
        return "cpu"
    return "cuda" if all(map(_on_gpu, arrays)) and _has_numba_cuda() else "im2col"


def _named(rung: str) -> Any:
    return _ON_DEMAND[rung]() if rung in _ON_DEMAND else _rung(rung)


@cache
def _checked(rung: str) -> Any:
    return checked(_named(rung))


def _on_gpu(array: Any) -> bool:
    """Whether CUDA kernels can take it."""
    return hasattr(type(array), "__cuda_array_interface__") and array.dtype in _COMPILED


def get_num_threads() -> int:
    """How many threads the compiled kernels use; 1 where there are none."""
    return int(_rung("cpu.host").threads()) if _has_numba() else 1


def set_num_threads(count: int) -> None:
    """Let the compiled kernels use `count` threads, matrix products included: BLAS itself is held to one a call.

    The default is as many as the process may use cores, or `NUMBA_NUM_THREADS`. The setting belongs to the calling
    thread of Python, and may be taken back at any time.

    Raises:
        ValueError: fewer than one, or more than the pool has: `NUMBA_NUM_THREADS`, set before the start, enlarges it.
    """
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"set_num_threads: needs an integer of at least 1, got {count!r}")
    if not _has_numba():
        if count > 1:
            raise ValueError("set_num_threads: without Numba there is one thread; pip install numba")
        return
    numba = importlib.import_module("numba")
    _rung("cpu.host")  # which chooses the threading layer
    most = int(numba.config.NUMBA_NUM_THREADS)
    if count > most:
        raise ValueError(
            f"set_num_threads: got {count}, but the pool has {most}; start Python with NUMBA_NUM_THREADS={count}"
        )
    numba.set_num_threads(count)


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
        _rung("conformance")  # or its sentence on what is missing
    with context(kernels=name):
        yield


def empty(shape: tuple[int, ...], like: Any) -> Any:
    """An array to be written into, of the dtype and on the device of `like`; large ones in recycled memory."""
    xp = namespace(like)
    return memory.empty(shape, like.dtype) if xp is np else xp.empty(shape, like.dtype)


def empty_in_order(shape: tuple[int, ...], like: Any) -> Any:
    """The same with the axes in the order in which those of `like` lie in memory, if it has as many."""
    if like.ndim != len(shape):
        return empty(shape, like)
    order = memory_order(like)
    return empty(tuple(shape[axis] for axis in order), like).transpose(inverse(order))


def memory_order(array: Any) -> list[int]:
    """Axes from the one with the largest stride to the one with the smallest."""
    return sorted(range(array.ndim), key=lambda axis: -array.strides[axis])


def inverse(order: Sequence[int]) -> list[int]:
    """The permutation that undoes `order`."""
    return sorted(range(len(order)), key=order.__getitem__)


def in_line(*arrays: Any) -> list[Any] | None:
    """Large arrays as lines in the order in which they lie in memory, if that is the same and without gaps; else None.

    For small ones None, too: a call of the array library costs less than a kernel's. And for integers, which promote.
    """
    first = arrays[0]
    kind = type(first)
    if kind is not np.ndarray and kind.__module__.partition(".")[0] != "cupy":
        return None
    if first.nbytes < memory.LEAST or first.dtype.kind != "f":
        return None
    order = memory_order(first)
    lines = []
    for a in arrays:
        if type(a) is not kind or a.dtype != first.dtype or a.shape != first.shape:
            return None
        a = a.transpose(order)
        if not a.flags.c_contiguous:
            return None
        lines.append(a.reshape(-1))
    return lines


def like_line(line: Any, array: Any) -> Any:
    """What was written in the order of `in_line(array)`, with the shape and the strides of `array`."""
    order = memory_order(array)
    return line.reshape([array.shape[axis] for axis in order]).transpose(inverse(order))


def line(array: Any) -> Any:
    """All of its entries as one line, in the order in which they lie in memory; a view where there are no gaps.

    That is `array.ravel(order="K")`, which CuPy does not have.
    """
    return (array.transpose(memory_order(array)) if array.ndim > 1 else array).reshape(-1)


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
