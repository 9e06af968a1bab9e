"""A block that shares what it loads reads each number once, with a barrier between loading and using.

out[i] = x[i-1] + x[i] + x[i+1]: 8 threads read 10 numbers instead of 24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.exercises.expect import written

THREADS = 8
SIZES = (8, 24, 21, 17, 3)  # whole blocks, and tails


class _Kept:
    """The output as kernels see it: what is written stays, whereas arrays are copied before a kernel is watched."""

    def __init__(self, size: int) -> None:
        self.values, self.times = np.full(size, np.nan), np.zeros(size, int)
        self.shape, self.size, self.ndim = (size,), size, 1

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> float:
        return float(self.values[i])

    def __setitem__(self, i: int, value: float) -> None:
        if not 0 <= i < self.size:
            raise IndexError(f"out[{i}] lies outside of the array, which has the shape {self.shape}")
        self.values[i] = value
        self.times[i] += 1


def check(answer: Callable[[Any, Any], None]) -> None:
    """Run answer(x, out) block by block, thread by thread: its results, its races and what it reads."""
    kernel: Any = getattr(answer, "py_func", answer)
    written(kernel, "sum3(x, out)")
    for size in SIZES:
        x = np.random.default_rng(size).standard_normal(size)
        _results(kernel, x)
        for block in range(-(-size // THREADS)):
            _no_races(kernel, x, block)
            _accesses(kernel, x, block)


def _results(kernel: Any, x: np.ndarray) -> None:
    from tinyres_kernels.cuda import show_thread

    out, blocks = _Kept(x.size), -(-x.size // THREADS)
    where = f"x of {x.size} numbers, {blocks} block{'s' * (blocks != 1)} of {THREADS}"
    for block in range(blocks):
        try:
            show_thread(kernel, block, 0, (x, out), threads=THREADS, grid=blocks)
        except IndexError as error:
            raise AssertionError(
                f"{where}: block {block}: {error}. The first and the last thread lack a neighbour, and the last "
                "block may have threads beyond the end: check before you read or write."
            ) from None
    assert (out.times > 0).all(), f"{where}: out[{int(np.argmin(out.times))}] was never written"
    assert (out.times == 1).all(), f"{where}: out[{int(np.argmax(out.times))}] was written more than once"
    needed = np.convolve(x, np.ones(3))[1:-1]
    wrong = np.flatnonzero(~np.isclose(out.values, needed, rtol=1e-9, atol=1e-12))
    if wrong.size:
        i = int(wrong[0])
        _no_races(kernel, x, i // THREADS)  # where a barrier is missing, what came depends on who was first
        rim = np.isin(wrong % THREADS, (0, THREADS - 1)).all()
        raise AssertionError(
            f"{where}: out[{i}] is {out.values[i]:.4f}, expected {needed[i]:.4f}. "
            + ("It is at the rim of a block: a block needs the number before its first and the one after its last, "
               "or a zero where there is none (shared memory is not cleared)." if rim else
               "Where in the tile does number i lie, and where its neighbours?")
        )  # fmt: skip


def _no_races(kernel: Any, x: np.ndarray, block: int) -> None:
    from tinyres_kernels.cuda import races

    found = races(kernel, block, (x, np.zeros(x.size)), threads=THREADS, grid=-(-x.size // THREADS))
    assert not found, (
        f"a race: two threads of block {block} touch {', '.join(map(str, found[:3]))} with no barrier between them, "
        "and one of them writes: it is right only by luck. cuda.syncthreads() makes all wait until the tile is full."
    )


def _accesses(kernel: Any, x: np.ndarray, block: int) -> None:
    from tinyres_kernels.cuda import show_thread

    arguments, blocks = (x, np.zeros(x.size)), -(-x.size // THREADS)
    watched = [show_thread(kernel, block, t, arguments, threads=THREADS, grid=blocks) for t in range(THREADS)]
    reads = [access for shown in watched for access in shown.reads]
    needed = len(range(max(0, block * THREADS - 1), min(x.size, block * THREADS + THREADS + 1)))
    assert len(reads) == needed, (
        f"block {block} of {blocks} reads {len(reads)} numbers from x; {needed} are enough, each read once. Put them "
        "into cuda.shared.array first; one thread each loads the two beyond the block's ends. Then add from there."
    )


STUB = """\
def sum3(x, out):
    tile = cuda.shared.array(10, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    ...
"""  # as on the page

__all__ = ["STUB", "check"]
