"""PyTorch, if it is here, and the same number of threads for everyone."""

from __future__ import annotations

from typing import Any

import threadpoolctl


def load_torch() -> Any | None:
    """The module, or None where it is not installed. To be called before our kernels are imported.

    They ask OpenMP to let idle threads sleep soon (GOMP_SPINCOUNT); PyTorch's own OpenMP library reads that setting
    when it is loaded, and is to run as it does without us.
    """
    try:
        import torch
    except ImportError:
        return None
    return torch


def pin_threads(torch: Any | None) -> int:
    """Give PyTorch and NumPy's BLAS as many threads as our kernels have; returns how many (see NUMBA_NUM_THREADS)."""
    from tinyres_kernels.cpu.host import threads

    count = threads()
    if torch is not None:
        torch.set_num_threads(count)
    threadpoolctl.threadpool_limits(count, user_api="blas")
    return count
