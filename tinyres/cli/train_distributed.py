"""`tinyres train --distributed`: its options, and several processes that succeed or fail together."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from tinyres.cli.common import UsageError, need

SAVING = 60.0  # seconds that rank 0 has to save the run before another rank ends it


def add_options(train: Any) -> None:
    """Declare the options."""
    add = train.add_argument
    add("--distributed", action="store_true",
        help="share every batch among the processes of mpiexec -n N tinyres train ... (needs mpi4py)")  # fmt: skip
    add("--sync-batch-norm", action="store_true",
        help="with --distributed: use statistics of the whole batch, not of each process's share")  # fmt: skip
    add("--timeout", type=float, metavar="SECONDS",
        help="with --distributed: longest wait for another process (default: 1800)")  # fmt: skip


def on_all_ranks(work: Callable[[Any], int], timeout: float | None) -> int:
    """Call `work(ranks)` in each process. If one of them fails, all end, and the reason is printed once."""
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
        ranks.barrier()  # the others sleep until rank 0 has written everything
        return status
    except RankFailed as error:
        if error.lost:
            _abort(ranks, error)
        if ranks.rank == 0:
            print(f"tinyres train: {error}", file=sys.stderr, flush=True)
        return 1
    except BaseException as error:
        ranks.fail(error)
        if isinstance(error, UsageError) and ranks.rank:
            return 2  # rank 0 prints it: it failed in the same way, or was told
        raise


def _abort(ranks: Any, error: Exception) -> NoReturn:
    """End all processes. Rank 0 does so once it has saved; the others wait for that. If it does not, rank 0 is the one
    that was lost."""
    if ranks.rank:
        time.sleep(SAVING + ranks.rank)  # not all at once: only one of them is to print
    print(f"tinyres train: {error}", file=sys.stderr, flush=True)
    ranks.abort()
    raise AssertionError("MPI_Abort does not return")
