"""The simulator's blocks with their threads one at a time: a tenth of the time, and races show.

Numba's simulator starts all threads of a block and asks each one over and over whether it waits, which takes far longer
than what they compute. Here a thread runs until it ends or comes to a barrier, and then another one does, in an order
that is drawn anew behind every barrier. Who reads without a barrier what another thread writes, reads too early. Blocks
come in an order that is drawn, too: any of them may be the last. The threads of a kernel without barriers need no
threads of Python: they are run by the one that launches.

The simulator also copies every array, and wraps it twice. `run` gives a kernel the memory itself, where it is.
"""

import random
import threading

import numpy as np
from numba.cuda.simulator.kernel import ArgHint, BlockManager, BlockThread, Dim3, FakeCUDAModule
from numba.cuda.simulator.kernelapi import swapped_cuda_module


def run(compiled, *arguments):
    """A launch, in place of `FakeCUDAKernel.__call__`."""
    grid, block = compiled.grid_dim, compiled.block_dim
    given = [a.value if isinstance(a, ArgHint) else a for a in arguments]  # what is only read comes as `cuda.In`
    with swapped_cuda_module(compiled.fn, FakeCUDAModule(grid, block, 0)):
        points = list(np.ndindex(*grid))
        Block.order.shuffle(points)
        for point in points:
            Block(compiled.fn, grid, block, False).run(point, *given)


class OneOfMany(BlockThread):
    """A thread that runs when it is its turn, and hands back at a barrier."""

    def __init__(self, *given):
        super().__init__(*given)
        self.turn, self.back, self.ended = threading.Lock(), threading.Lock(), False
        self.turn.acquire()
        self.back.acquire()
        self.start()

    def step(self):
        """Up to the next barrier, or to the end."""
        self.turn.release()
        self.back.acquire()
        if self.exception and not self.abort:
            raise self.exception[0].with_traceback(self.exception[1])

    def run(self):
        self.turn.acquire()
        try:
            if not self.abort:
                super().run()
        finally:
            self.ended = True
            self.back.release()

    def syncthreads(self):
        self.back.release()
        self.turn.acquire()
        if self.abort:
            raise SystemExit  # which ends a thread, and says nothing


class Block(BlockManager):
    order = random.Random(0)

    def run(self, grid_point, *args):
        if "syncthreads" not in self._f.__code__.co_names:  # it waits nowhere
            self.run_in_turn(grid_point, *args)
            return
        threads = [
            OneOfMany(lambda: self._f(*args), self, grid_point, point, self._debug)
            for point in np.ndindex(*self._block_dim)
        ]
        try:
            while not any(thread.ended for thread in threads):
                self.order.shuffle(threads)
                for thread in threads:
                    thread.step()
            waiting = [thread for thread in threads if not thread.ended]
            if waiting:
                raise RuntimeError(
                    f"{len(waiting)} of {len(threads)} threads wait at a barrier that others never reach"
                )
        finally:
            for thread in threads:
                if not thread.ended:
                    thread.abort = True
                    thread.step()

    def run_in_turn(self, grid_point, *args):
        points = list(np.ndindex(*self._block_dim))
        self.order.shuffle(points)
        me = threading.current_thread()  # of which a kernel asks where it is
        me.blockIdx = Dim3(*grid_point)
        for point in points:
            me.threadIdx = Dim3(*point)
            self._f(*args)
