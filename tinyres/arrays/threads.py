"""Threads of the compiled kernels."""

from __future__ import annotations

import importlib

from tinyres.arrays.dispatch import has_numba, kernel_module


def get_num_threads() -> int:
    """How many threads the compiled kernels use; 1 where there are none."""
    return int(kernel_module("cpu.host").threads()) if has_numba() else 1


def set_num_threads(count: int) -> None:
    """Let the compiled kernels use `count` threads, also for matrix products: they split the work themselves and hold
    BLAS to one thread a call.

    The default is one thread per core that the process may use, or `NUMBA_NUM_THREADS`. The setting is that of the
    calling Python thread and can be changed at any time.

    Raises:
        ValueError: fewer than one, or more than the pool has; `NUMBA_NUM_THREADS`, set before Python starts, enlarges
            the pool.
    """
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"set_num_threads: needs an integer of at least 1, got {count!r}")
    if not has_numba():
        if count > 1:
            raise ValueError(f"set_num_threads: got {count}, but without Numba there is one thread; pip install numba")
        return
    numba = importlib.import_module("numba")
    kernel_module("cpu.host")  # which chooses the threading layer
    most = int(numba.config.NUMBA_NUM_THREADS)
    if count > most:
        raise ValueError(
            f"set_num_threads: got {count}, but the pool has {most}; start Python with NUMBA_NUM_THREADS={count}"
        )
    numba.set_num_threads(count)


__all__ = ["get_num_threads", "set_num_threads"]
