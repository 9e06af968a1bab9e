"""Ranks: the processes of one run, over MPI: barrier, broadcast, all-reduce, and noticing that one has failed."""

from __future__ import annotations

import importlib
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np

from tinyres.arrays import device_of, to_device
from tinyres.autograd.tensor import Array

TIMEOUT = 1800.0  # seconds: rank 0 may score a large test set while the others wait
AWAKE = 2e-4  # seconds of polling before the first sleep
LONGEST_SLEEP = 2e-3  # seconds
_yield = getattr(os, "sched_yield", partial(time.sleep, 0))  # takes 1 µs, while even sleep(0) may take 70


class RankFailed(RuntimeError):
    """Another process of the run failed, or does not answer.

    Attributes:
        lost: it cannot be reached any more; the only thing left to do with MPI is to abort.
    """

    def __init__(self, sentence: str, lost: bool = False) -> None:
        super().__init__(sentence)
        self.lost = lost


class Ranks:
    """The processes that MPI started together; this one is number `rank` of `size`.

    There is a barrier before each exchange, at which a process learns that another one has failed, instead of waiting
    for it for ever. A process that waits sleeps, and leaves its core to the others.

    Args:
        comm: an mpi4py communicator; default: all processes that `mpiexec` started (one, without it).
        timeout: seconds to wait for the others before they are taken for dead.

    Attributes:
        local_rank, local_size: rank and size among the processes on this machine.
        asks_to_stop: called at each barrier; once it is true on one rank, `stopping` becomes true on all at once.

    Raises:
        RuntimeError: mpi4py or the MPI library is missing.
    """

    def __init__(self, comm: Any = None, *, timeout: float = TIMEOUT) -> None:
        self._mpi = _mpi()
        self.comm = (self._mpi.COMM_WORLD if comm is None else comm).Dup()  # no other traffic gets in between
        self.rank, self.size, self.timeout = int(self.comm.rank), int(self.comm.size), timeout
        self._machine = self.comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.local_rank, self.local_size = int(self._machine.rank), int(self._machine.size)
        self.asks_to_stop: Callable[[], bool] = lambda: False
        self.stopping = False
        self._over = False  # all ranks know that one has failed
        self._amid = False  # in an exchange, or interrupted in one: the others wait there, and cannot be told anything
        self._nccl: Any = None

    def barrier(self, failure: BaseException | None = None) -> None:
        """Wait until every rank is here. A rank that has failed passes its `failure`, and all others raise.

        Raises:
            RankFailed: on every rank but the one that failed (if several did, the lowest).
        """
        code = 1 + self.size - self.rank if failure is not None else int(self.asks_to_stop())
        highest = np.array(code, np.int64)
        with self._exchange():
            self._finish(self.comm.Iallreduce(self._mpi.IN_PLACE, highest, op=self._mpi.MAX), asleep=True)
        self.stopping |= bool(highest == 1)
        if highest > 1:
            self._over = True
            who = 1 + self.size - int(highest)
            reason = f"{type(failure).__name__}: {failure} (on {platform.node()})" if who == self.rank else None
            reason = self.comm.bcast(reason, root=who)
            if who != self.rank:
                raise RankFailed(f"rank {who} of {self.size} failed with {reason}")

    def fail(self, error: BaseException) -> None:
        """Tell the others why this rank stops, in place of whatever it would have exchanged next.

        If it was interrupted in the middle of an exchange (by a second Ctrl-C, say), all processes end at once.
        """
        if self._over:
            return
        if self._amid:
            traceback.print_exception(error)
            self.abort()
        with suppress(RankFailed):  # another rank failed as well, and was named
            self.barrier(error)

    def sum(self, array: Array) -> Array:
        """All-reduce: Σ_r array_r of a contiguous array, which may be written into; every rank gets the same bits.

        An array on a GPU goes through NCCL after `over_nccl`, otherwise through host memory. (MPI requires an
        all-reduce to give identical results everywhere; the order of the additions is up to the implementation.)

        Raises:
            RankFailed: a rank has failed or died; the content of the array is then meaningless.
        """
        if device_of(array) != "cpu" and self._nccl is None:
            return to_device(self.sum(to_device(array, "cpu")), device_of(array))
        self.barrier()
        with self._exchange():
            if device_of(array) != "cpu":
                self._nccl.all_reduce(array, array)
            else:
                self._finish(self.comm.Iallreduce(self._mpi.IN_PLACE, array, op=self._mpi.SUM), asleep=False)
        return array

    def over_nccl(self, possible: bool) -> bool:
        """Send arrays directly from GPU to GPU, if that is `possible` on every rank; returns whether it is.

        It is possible where NCCL is installed and each rank uses a GPU of its own; the ranks must be all that MPI
        started.
        """
        self.barrier()
        if not self.comm.allreduce(int(possible and self.size == self._mpi.COMM_WORLD.size), op=self._mpi.MIN):
            return False
        distributed = importlib.import_module("cupyx.distributed")
        self._nccl = distributed.init_process_group(self.size, self.rank, use_mpi=True)
        return True

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value, on all ranks; anything that can be pickled."""
        self.barrier()
        return self.comm.bcast(value, root=0)

    def threads(self) -> int:
        """How many cores of its machine this rank may use: its share of those that mpiexec let it run on."""
        self.barrier()
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
        sharing = sum(bool(theirs == cores) for theirs in self._machine.allgather(cores))
        return int(max(1, len(cores) // sharing))

    def abort(self) -> None:
        """End all processes at once: the only way out when one of them is lost."""
        self.comm.Abort(1)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        self._amid = True
        yield
        self._amid = False  # not if an exception comes this way

    def _finish(self, request: Any, *, asleep: bool) -> None:
        """Wait for an exchange; if `asleep`, with pauses of a sixteenth of the time waited so far."""
        began = time.monotonic()
        try:
            while not request.Test():
                waited = time.monotonic() - began
                if waited > self.timeout:
                    raise RankFailed(
                        f"a rank has not answered for {self.timeout:g} seconds: it died, hangs, or needs a longer "
                        "--timeout",
                        lost=True,
                    )
                if asleep and waited > AWAKE:
                    time.sleep(min(waited / 16, LONGEST_SLEEP))
                else:
                    _yield()
        except self._mpi.Exception as error:
            raise RankFailed(f"a rank cannot be reached any more: MPI says {error}", lost=True) from error


def _mpi() -> Any:
    """mpi4py.MPI, whose import starts MPI."""
    try:
        return importlib.import_module("mpi4py.MPI")
    except ModuleNotFoundError as error:
        missing: Exception = error
        what = "needs mpi4py, which is not installed: pip install 'tinyres[mpi]'"
    except (ImportError, RuntimeError, OSError) as error:
        missing = error
        what = "needs an MPI library, and mpi4py found none: load the cluster's own, or pip install mpich"
    raise RuntimeError(f"training by several processes {what}") from missing


__all__ = ["TIMEOUT", "RankFailed", "Ranks"]
