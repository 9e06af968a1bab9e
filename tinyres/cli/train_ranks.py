"""`tinyres train --distributed`: what several processes of one command owe each other."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tinyres.cli.common import UsageError, need

SAVING = 60.0  # seconds that rank 0 has to save the run before another rank ends it


def declare(train: Any) -> None:
    """The options."""
    add = train.add_argument
    add("--distributed", action="store_true",
        help="share every batch among the processes of mpiexec -n N tinyres train ... (needs mpi4py)")  # fmt: skip
    add("--sync-batch-norm", action="store_true",
        help="with --distributed: statistics of the whole batch, not of each process's share")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS",
        help="with --distributed: how long to wait for another process (default: 1800)")  # fmt: skip


def by_ranks(work: Callable[[Any], int], timeout: float | None) -> int:
    """`work(ranks)` in each process; what fails on one of them ends all, and is said once."""
    need({"mpi4py": "mpi4py"}, "mpi")
    from tinyres.training import RankFailed, Ranks

    try:
        ranks = Ranks()
    except RuntimeError as error:
        raise UsageError(f"--distributed: {error}") from error
    if ranks.size == 1:
        print("--distributed: this is the only process; mpiexec -n 2 tinyres train ... --distributed starts two")
    try:
        if timeout is not None:
            if not timeout > 0:
                raise UsageError(f"--timeout {timeout:g}: more than 0 seconds are needed")
            ranks.timeout = timeout
        status = work(ranks)
        ranks.meet()  # the others sleep until rank 0 has written everything
        return status
    except RankFailed as error:
        if error.lost:
            _end_all(ranks, error)
        if ranks.rank == 0:
            print(f"tinyres train: {error}", file=sys.stderr, flush=True)
        return 1
    except BaseException as error:
        ranks.fail(error)
        if isinstance(error, UsageError) and ranks.rank:
            return 2  # rank 0 says it: it had the same to say, or was told
        raise


def _end_all(ranks: Any, error: Exception) -> NoReturn:
    """Rank 0 has saved, and ends all. The others wait for that; if it does not come, it is rank 0 that was lost."""
    if ranks.rank:
        time.sleep(SAVING + ranks.rank)  # not all at once: one of them is to speak
    print(f"tinyres train: {error}", file=sys.stderr, flush=True)
    ranks.abort()
    raise AssertionError("MPI_Abort does not return")


def settle(ranks: Any, device: str) -> None:
    """Give this process its part of the machine: its cores, unless NUMBA_NUM_THREADS says how many, and its GPU."""
    import tinyres as tr

    threads = ranks.threads()  # asked on every rank, since they answer together
    if "NUMBA_NUM_THREADS" not in os.environ:
        tr.set_num_threads(threads)
    if device == "cuda":
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
        cupy.cuda.Device(ranks.local_rank % count).use()
        ranks.over_nccl(count >= ranks.local_size and cupy.cuda.nccl.available)


def testimony(checkpoint: Path, step: int | None) -> str:
    """What a witness is to say."""
    way = "nothing was saved before" if step is None else f"--resume goes on from {checkpoint}, saved after step {step}"
    return f"tinyres train: a process of this run was killed or failed; {way}"
