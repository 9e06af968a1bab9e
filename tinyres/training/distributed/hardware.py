"""This rank's part of its machine: its cores and its GPU."""

from __future__ import annotations

import importlib
import os

from threadpoolctl import threadpool_limits

from tinyres.arrays import set_num_threads
from tinyres.training.distributed.ranks import Ranks


def assign_hardware(ranks: Ranks, device: str) -> None:
    """Let kernels and BLAS use this rank's cores (unless NUMBA_NUM_THREADS says how many) and, on "cuda", its own GPU.

    BLAS threads that wait for their next product spin, and would take the cores from other ranks.

    Every rank must call it. Where there are as many GPUs as ranks, and NCCL, sums go directly from GPU to GPU.
    """
    threads = ranks.threads()  # asked on every rank, because they answer together
    if "NUMBA_NUM_THREADS" not in os.environ:
        set_num_threads(threads)
        threadpool_limits(threads, user_api="blas")
    if device == "cuda":
        cupy = importlib.import_module("cupy")
        count = cupy.cuda.runtime.getDeviceCount()
        cupy.cuda.Device(ranks.local_rank % count).use()
        ranks.over_nccl(count >= ranks.local_size and cupy.cuda.nccl.available)


__all__ = ["assign_hardware"]
