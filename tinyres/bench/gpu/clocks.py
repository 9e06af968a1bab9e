"""Clocks on a GPU's own time: two events on the stream that a library works on, and what passed between them.

A host that launches slowly leaves the device waiting between two kernels, and events count the wait. `hold` gives the
device something to do first, so that all of a turn is queued before it begins: then only the device's work is counted.
"""

from __future__ import annotations

import gc
import math
from typing import Any, Protocol

BALLAST = 1 << 28  # bytes copied to hold the device up; they leave nothing else in its cache


class Clock(Protocol):
    """Of one library: its events, on its stream."""

    def start(self) -> Any: ...

    def stop(self, started: Any) -> float:
        """Waits for the device; seconds since `started`."""
        ...

    def wait(self) -> None: ...

    def hold(self, seconds: float) -> None:
        """Keep the device busy for so long; returns at once."""
        ...


class CupyClock:
    """Events of CuPy's, on its current stream: the one that our kernels run on."""

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self._ballast = [cupy.zeros(BALLAST // 4, "float32") for _ in range(2)]
        self._copy = 0.0

    def start(self) -> Any:
        event = self._cupy.cuda.Event()
        event.record(self._cupy.cuda.get_current_stream())
        return event

    def stop(self, started: Any) -> float:
        ended = self.start()
        ended.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(started, ended)) / 1e3

    def wait(self) -> None:
        self._cupy.cuda.get_current_stream().synchronize()

    def hold(self, seconds: float) -> None:
        self._copy = self._copy or _time_of(self, self._once)
        for _ in range(math.ceil(seconds / self._copy)):
            self._once()

    def _once(self) -> None:
        self._cupy.copyto(self._ballast[0], self._ballast[1])


class TorchClock:
    """Events of PyTorch's, on its current stream."""

    def __init__(self, torch: Any) -> None:
        from tinyres.bench.device import TORCH

        self._cuda = torch.cuda
        self._ballast = [torch.zeros(BALLAST // 4, device=TORCH["cuda"]) for _ in range(2)]
        self._copy = 0.0

    def start(self) -> Any:
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def stop(self, started: Any) -> float:
        ended = self.start()
        ended.synchronize()
        return float(started.elapsed_time(ended)) / 1e3

    def wait(self) -> None:
        self._cuda.current_stream().synchronize()

    def hold(self, seconds: float) -> None:
        self._copy = self._copy or _time_of(self, self._once)
        for _ in range(math.ceil(seconds / self._copy)):
            self._once()

    def _once(self) -> None:
        self._ballast[0].copy_(self._ballast[1])


def _time_of(clock: Clock, once: Any, times: int = 8) -> float:
    once()
    started = clock.start()
    for _ in range(times):
        once()
    return max(clock.stop(started) / times, 1e-6)


def free(torch: Any | None) -> None:
    """Give back what both libraries' pools hold idle: they live side by side on one card."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def load_torch() -> Any | None:
    """PyTorch, where it is installed and sees the GPU; cuDNN then looks for the fastest algorithm of each shape."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cudnn.benchmark = True
    return torch


def allow_tf32(torch: Any, allowed: bool) -> None:
    """Whether float32 convolutions and matrix products may round their factors to 10 bits."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed
