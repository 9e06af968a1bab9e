"""Points run here, or in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

from tinyres.flow.sweep.conduct import Execute, Outcome
from tinyres.flow.sweep.point import Finding, attempt
from tinyres.training.recipe import Recipe


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def here(recipes: Sequence[Recipe], device: str = "cpu") -> Generator[Outcome]:
    """One after the other, in this process."""
    for recipe in recipes:
        yield recipe, attempt(recipe, device)


def processes(jobs: int, device: str = "cpu") -> Execute:
    """`jobs` points at a time, each in a process of its own with one thread; on "cuda" they share the GPU.

    A process that dies (killed for its memory, say) breaks the pool, and takes along whatever ran beside it: the other
    points go on in a fresh pool, and at the end the suspects are run once more, one at a time. What dies again failed.
    The processes end with this one, however it ends.
    """

    def execute(recipes: Sequence[Recipe]) -> Generator[Outcome]:
        waiting, suspects = deque(recipes), []
        while waiting:
            suspects += yield from _pool(waiting, jobs, device)
        for recipe in suspects:
            if (yield from _pool(deque([recipe]), 1, device)):
                yield recipe, "its process died twice: killed, perhaps for its memory"

    return execute


def _pool(waiting: deque[Recipe], jobs: int, device: str) -> Generator[Outcome, None, list[Recipe]]:
    """Run what waits until it is done, or until the pool breaks; returns what was in flight then."""
    # Spawned, since OpenMP does not survive a fork. The pipe is never written to: its end closes with this process.
    spawn = multiprocessing.get_context("spawn")
    parent_lives, life = spawn.Pipe(duplex=False)
    jobs = min(jobs, len(waiting))
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_begin, initargs=(parent_lives,))
    flying: dict[Future[Finding | str], Recipe] = {}
    lost: list[Recipe] = []
    try:
        while (waiting and not lost) or flying:
            while waiting and not lost and len(flying) < jobs:
                recipe = waiting.popleft()
                try:
                    flying[pool.submit(attempt, recipe, device)] = recipe
                except BrokenProcessPool:
                    lost.append(recipe)
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                recipe = flying.pop(future)
                try:
                    yield recipe, future.result()
                except BrokenProcessPool:
                    lost.append(recipe)
        pool.shutdown()
        return lost
    finally:
        life.close()  # ends what still runs, if this is left early
        pool.shutdown(cancel_futures=True)
        parent_lives.close()


def _begin(parent_lives: Connection) -> None:
    """In a new process: Ctrl-C is the parent's business, and without a parent there is nothing left to do."""

    def follow() -> None:
        try:
            parent_lives.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
