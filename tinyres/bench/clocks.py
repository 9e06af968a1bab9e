"""What a second is: on the processor, and on a GPU.

A clock also brings the machine to rest before a turn, so that nothing is charged to a peer that another one did.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

Call = Callable[[], Any]
PAUSE = 0.02  # seconds after which the idle threads of the peer before sleep: those of OpenMP spin for some 12 ms
BALLAST = 1 << 28  # bytes copied to keep a GPU busy; they leave nothing else in its cache
AHEAD, SLACK = 1.5, 1e-4  # it is held for so many times what the host needs, and seconds more


def seconds(call: Call) -> float:
    """How long one call takes on the processor's clock."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


class Clock(Protocol):
    """turn: seconds that a turn is to last by repeating short calls. most: so many calls of them at most."""

    turn: float
    most: int

    def warm_up(self, call: Call, host: float) -> None:
        """Before a turn. call: the peer's work, not counted. host: seconds that the host needs to ask for the turn."""
        ...

    def start(self) -> Any: ...

    def stop(self, started: Any) -> float:
        """Seconds since `started`, when all that was asked for is done."""
        ...


class HostClock:
    """The processor's.

    A turn begins with a rest of `pause` seconds and as long a time of calls that are not counted: threads that wait for
    more work spin for some milliseconds after a call, and would be charged to the next peer; and a thread that wakes
    may find itself on the core of the one that woke it, until the scheduler moves it some ticks later.
    """

    turn, most = 4e-3, 100

    def __init__(self, pause: float = PAUSE) -> None:
        self.pause = pause

    def warm_up(self, call: Call, host: float) -> None:
        if not self.pause:
            return
        time.sleep(self.pause)
        awake = time.perf_counter() + self.pause
        call()
        while time.perf_counter() < awake:
            call()

    def start(self) -> float:
        return time.perf_counter()

    def stop(self, started: float) -> float:
        return time.perf_counter() - started


class CudaClock:
    """A GPU's: two events on the current stream of CuPy's, which PyTorch works on too, and what passed between them.

    A host that launches slowly leaves the GPU waiting between two kernels, and events count the wait. With `held` the
    GPU is given something to do first, so that all of a turn is queued before it begins: then only its work is counted.
    Neither way has the queue room for more calls than `most`: the host would wait for the GPU.
    """

    turn, most = 2e-3, 50

    def __init__(self, held: bool = False) -> None:
        import cupy

        self._cupy, self.held = cupy, held
        self._copied = 0.0  # seconds of one copy of the ballast

    def warm_up(self, call: Call, host: float) -> None:
        if not self.held:
            return
        if not self._copied:
            self._ballast = [self._cupy.zeros(BALLAST // 4, "float32") for _ in range(2)]
            self._copy(1)
            started = self.start()
            self._copy(8)
            self._copied = max(self.stop(started) / 8, 1e-6)
        self._copy(math.ceil((AHEAD * host + SLACK) / self._copied))

    def start(self) -> Any:
        event = self._cupy.cuda.Event()
        event.record(self._cupy.cuda.get_current_stream())
        return event

    def stop(self, started: Any) -> float:
        ended = self.start()
        ended.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(started, ended)) / 1e3

    def _copy(self, times: int) -> None:
        for _ in range(times):
            self._cupy.copyto(*self._ballast)
