"""Who is raced against: PyTorch, if it is here, in both of its memory formats, with as many threads as we have."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import threadpoolctl

FORMATS = {"PyTorch, channels last": True, "PyTorch, channels first": False}
TF32 = ", TF32"


class Rival(NamedTuple):
    """PyTorch in one of its memory formats. before: settings that hold for a turn."""

    name: str
    last: bool
    before: Callable[[], Any] = lambda: None


def rivals(torch: Any | None, tf32: bool = False) -> list[Rival]:
    """None without PyTorch. tf32: each format without TF32 and with it."""
    if torch is None:
        return []
    if not tf32:
        return [Rival(name, last) for name, last in FORMATS.items()]
    return [
        Rival(name + (TF32 if allowed else ""), last, partial(allow_tf32, torch, allowed))
        for name, last in FORMATS.items() for allowed in (False, True)
    ]  # fmt: skip


def layout(torch: Any, last: bool) -> Any:
    """PyTorch's memory format: channels last, or first."""
    return torch.channels_last if last else torch.contiguous_format


def load_torch(device: str = "cpu") -> Any | None:
    """The module, or None where it is not installed, or does not see the GPU that it is loaded for.

    On the CPU to be called before our kernels are imported: they ask OpenMP to let idle threads sleep soon
    (GOMP_SPINCOUNT); PyTorch's own OpenMP library reads that setting when it is loaded, and is to run as it does
    without us. On a GPU cuDNN looks for the fastest algorithm of each shape.
    """
    try:
        import torch
    except ImportError:
        return None
    if device == "cpu":
        return torch
    if not torch.cuda.is_available():
        return None
    import cupy

    if torch.cuda.current_stream().cuda_stream != cupy.cuda.get_current_stream().ptr:
        raise RuntimeError(
            "PyTorch and CuPy work on different streams, so one clock cannot time both; "
            "unset CUPY_CUDA_PER_THREAD_DEFAULT_STREAM"
        )
    torch.backends.cudnn.benchmark = True
    return torch


def reason(error: Exception) -> str:
    """Why a peer does not run, in one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def allow_tf32(torch: Any, allowed: bool) -> None:
    """Whether float32 convolutions and matrix products may round their factors to 10 bits."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def free(torch: Any | None) -> None:
    """Give back what both libraries' pools hold idle: they live side by side on one GPU."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def pin_threads(torch: Any | None) -> int:
    """Give PyTorch and NumPy's BLAS as many threads as our kernels have; returns how many (see NUMBA_NUM_THREADS)."""
    from tinyres_kernels.cpu.host import threads

    count = threads()
    if torch is not None:
        torch.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")
    return count
