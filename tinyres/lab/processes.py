"""Parallel processes on this machine, one thread each; the work survives the death of a process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from tinyres.arrays import get_num_threads, set_num_threads

Item = TypeVar("Item")
Found = TypeVar("Found")


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Run kernels and BLAS on one thread: sums are reproducible, and parallel processes do not compete for cores."""
    before = get_num_threads()
    set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        set_num_threads(before)


def each(work: Callable[[Item], Found | str], items: Sequence[Item], jobs: int) -> Generator[tuple[Item, Found | str]]:
    """Apply `work` to every item, `jobs` at a time; yield results as they finish, a message if a process died twice.

    `work` must catch its own exceptions: one that it raises ends everything. A process that dies (killed for its
    memory, say) breaks the pool and loses all items in flight. The waiting items continue in a fresh pool, and at the
    end the lost ones are run once more, one at a time. The processes end with this one, however it ends.
    """
    waiting: deque[Item] = deque(items)
    suspects: list[Item] = []
    while waiting:
        suspects += yield from _pool(work, waiting, jobs)
    for item in suspects:
        if (yield from _pool(work, deque([item]), 1)):
            yield item, "its process died twice: killed, perhaps for its memory"


def _pool(
    work: Callable[[Item], Found | str], waiting: deque[Item], jobs: int
) -> Generator[tuple[Item, Found | str], None, list[Item]]:
    """Run the waiting items until all are done or the pool breaks; returns the items that were in flight then."""
    # Spawned, since OpenMP does not survive a fork. The pipe is never written to: its end closes with this process.
    spawn = multiprocessing.get_context("spawn")
    parent_lives, life = spawn.Pipe(duplex=False)
    jobs = min(jobs, len(waiting))
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(parent_lives,))
    flying: dict[Future[Any], Item] = {}
    lost: list[Item] = []
    try:
        while (waiting and not lost) or flying:
            while waiting and not lost and len(flying) < jobs:
                item = waiting.popleft()
                try:
                    flying[pool.submit(work, item)] = item
                except BrokenProcessPool:
                    lost.append(item)
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                item = flying.pop(future)
                try:
                    yield item, future.result()
                except BrokenProcessPool:
                    lost.append(item)
        pool.shutdown()
        return lost
    finally:
        life.close()  # ends processes still running if this generator is closed early
        pool.shutdown(cancel_futures=True)
        parent_lives.close()


def _begin(parent_lives: Connection) -> None:
    """Set up a new process: ignore Ctrl-C, which the parent handles, and exit when the parent is gone."""

    def follow() -> None:
        try:
            parent_lives.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
