"""Say that kernels are being compiled if it takes longer than a second: else the first use of a net seems to hang."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tinyres_kernels import waiting

from tinyres.cli.common import started_bars

PATIENCE = 1.0  # seconds of waiting before anything is said
LINGER = 1.0  # seconds after the last kernel for which the line stays: the next one may be due
EACH = 0.1  # seconds from one look to the next
TEXT = "compiling kernels, once"


class Watch:
    """Counts the kernels that this process waits for. On a terminal it shows the count while it rises.

    Attributes:
        count: kernels compiled here, or by the process that compiles ahead.
        seconds: how long this process waited for them.
    """

    def __init__(self, stream: TextIO) -> None:
        self.count, self.seconds = 0, 0.0
        self._stream, self._lock = stream, threading.Lock()
        self._depth = 0  # a kernel may call for others while it is compiled
        self._since = 0.0
        self._over = threading.Event()
        self._looks: threading.Thread | None = None
        self._shown: Any = None  # (bars, task), or the stream

    def __call__(self, begins: bool, kernels: int = 1) -> None:
        """Takes the place of `tinyres_kernels.waiting.told`."""
        with self._lock:
            now = time.monotonic()
            if begins:
                self._depth += 1
                self._since = now if self._depth == 1 else self._since
            elif self._depth:
                self._depth -= 1
                self.count += kernels
                if not self._depth:
                    self.seconds, self._since = self.seconds + now - self._since, now
        if begins and self._looks is None:
            self._looks = threading.Thread(target=self._look, daemon=True)
            self._looks.start()

    def waited(self) -> float:
        """Seconds so far, those of the kernel in progress included."""
        with self._lock:
            return self.seconds + (time.monotonic() - self._since if self._depth else 0.0)

    def close(self) -> None:
        """Show nothing any more."""
        self._over.set()
        if self._looks is not None:
            self._looks.join()

    def _look(self) -> None:
        while not self._over.wait(EACH):
            idle = not self._depth and time.monotonic() - self._since > LINGER
            if self.waited() > PATIENCE and not idle:
                self._show()
            elif idle:
                self._hide()
        self._hide()

    def _show(self) -> None:
        """As a bar below those that are on the screen, or on a line of its own."""
        if self._shown is None:
            bars = next((bars for bars in started_bars() if bars.console.is_terminal), None)
            self._shown = (self._stream, None) if bars is None else (bars, bars.add_task(TEXT, total=None))
        place, task = self._shown
        if task is not None:
            place.update(task, completed=self.count)
        elif place.isatty():
            place.write(f"\r{TEXT}: {self.count} in {self.waited():.0f} s ")
            place.flush()

    def _hide(self) -> None:
        if self._shown is None:
            return
        (place, task), self._shown = self._shown, None
        if task is not None:
            place.remove_task(task)
        elif place.isatty():
            place.write("\r\x1b[K")
            place.flush()


@contextmanager
def shown() -> Iterator[Watch]:
    """Inside a command: the count on a terminal, and one line at the end, to standard error, wherever that goes."""
    watch, before = Watch(sys.stderr), waiting.told
    waiting.told = watch
    try:
        yield watch
    finally:
        waiting.told = before
        watch.close()
        if watch.waited() > PATIENCE:
            print(f"{TEXT}: {watch.count} in {watch.waited():.0f} s", file=sys.stderr)


class Prompt(Watch):
    """At a prompt or in a notebook, nothing ends: on a terminal a line that counts, elsewhere one that stays."""

    def _show(self) -> None:
        if self._shown is None and not self._stream.isatty():
            print(f"{TEXT} ...", file=self._stream, flush=True)
        super()._show()


_prompt = Prompt(sys.stderr)


def at_prompt(begins: bool, kernels: int = 1) -> None:
    """Takes the place of `tinyres_kernels.waiting.told` where Python runs interactively."""
    _prompt(begins, kernels)
