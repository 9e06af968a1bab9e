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
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from tinyres.arrays import get_num_threads, set_num_threads

Item = TypeVar("Item")
Found = TypeVar("Found")
PULSE = 0.1  # seconds from one look at the shared numbers to the next

_shared: list[Any] = []


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


def each(
    work: Callable[[Item], Found | str],
    items: Sequence[Item] | deque[Item],
    jobs: int,
    *,
    counters: int = 0,
    watch: Callable[[Any], object] | None = None,
) -> Generator[tuple[Item, Found | str]]:
    """Apply `work` to every item, `jobs` at a time; yield results as they finish, a message if a process died twice.

    `work` must catch its own exceptions: one that it raises ends everything. A process that dies (killed for its
    memory, say) breaks the pool and loses all items in flight. The waiting items continue in a fresh pool, and at the
    end the lost ones are run once more, one at a time. The processes end with this one, however it ends.

    Args:
        items: a deque may be added to while results come in.
        counters: how many numbers, 0 at first, all processes share; `counted()` is their array in a process. Two
            processes must not add to the same one.
        watch: called with this array several times a second.
    """
    waiting = items if isinstance(items, deque) else deque(items)
    shared = multiprocessing.get_context("spawn").RawArray("Q", counters)
    look = None if watch is None else partial(watch, shared)
    suspects: list[Item] = []
    while waiting or suspects:
        while waiting:
            suspects += yield from _pool(work, waiting, jobs, shared, look)
        if suspects:
            item = suspects.pop(0)
            if (yield from _pool(work, deque([item]), 1, shared, look)):
                yield item, "its process died twice: killed, perhaps for its memory"


def _pool(
    work: Callable[[Item], Found | str],
    waiting: deque[Item],
    jobs: int,
    shared: Any,
    look: Callable[[], object] | None,
) -> Generator[tuple[Item, Found | str], None, list[Item]]:
    """Run the waiting items until all are done or the pool breaks; returns the items that were in flight then."""
    # Spawned, since OpenMP does not survive a fork. The pipe is never written to: its end closes with this process.
    spawn = multiprocessing.get_context("spawn")
    parent_lives, life = spawn.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(parent_lives, shared))
    flying: dict[Future[Any], Item] = {}
    lost: list[Item] = []
    try:
        while (waiting and not lost) or flying:
            while waiting and not lost and len(flying) < jobs:
                item = waiting.popleft()
                try:
                    with _deaf_children():
                        flying[pool.submit(work, item)] = item
                except BrokenProcessPool:
                    lost.append(item)
            for future in wait(flying, PULSE if look else None, return_when=FIRST_COMPLETED).done:
                item = flying.pop(future)
                try:
                    yield item, future.result()
                except BrokenProcessPool:
                    lost.append(item)
            if look:
                look()
        pool.shutdown()
        return lost
    finally:
        life.close()  # ends processes still running if this generator is closed early
        pool.shutdown(cancel_futures=True)
        parent_lives.close()


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Inside, a process that is started hears no Ctrl-C, which the parent handles: before it comes to `_begin` it
    imports for a second, and would print a traceback. The parent itself hears it when the block ends.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # starting it would end the block
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def counted() -> Any:
    """In a process that `each` started: the numbers that it shares with the others. Elsewhere: none."""
    return _shared[0] if _shared else ()


def _begin(parent_lives: Connection, shared: Any) -> None:
    """Set up a new process: ignore Ctrl-C, which the parent handles, and exit when the parent is gone."""
    _shared.append(shared)

    def follow() -> None:
        try:
            parent_lives.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
