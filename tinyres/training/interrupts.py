"""Interrupts: Ctrl-C and SIGTERM that wait for the end of a step."""

from __future__ import annotations

import signal
import threading
import time
from typing import Any

SAME = 1.0  # seconds: a terminal or a batch system and mpiexec may hand on one and the same signal twice


class Interrupts:
    """A context manager inside which Ctrl-C (SIGINT) and SIGTERM raise nothing; it is true once one has arrived.

    A second Ctrl-C, more than a second later, raises KeyboardInterrupt at once. Python delivers signals to the main
    thread alone: in another one, nothing is caught.
    """

    def __init__(self) -> None:
        self._came: float | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __bool__(self) -> bool:
        return self._came is not None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        now = time.monotonic()
        if self._came is None:
            self._came = now
        elif number == signal.SIGINT and now - self._came > SAME:
            raise KeyboardInterrupt


__all__ = ["Interrupts"]
