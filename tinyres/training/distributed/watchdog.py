"""Watchdog: a process that outlives a run, to say what became of it when nobody else can.

When a rank is killed, `mpiexec` kills all the others at the same moment, before any of them can say a word, and what
mpiexec itself says ("EXIT CODE: 9") does not tell anyone how to go on. So rank 0 starts a small process in a session of
its own and prepares a message whenever it has saved. An orderly end withdraws the message; if rank 0 vanishes, the
message is printed.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tinyres.training.distributed.ranks import RankFailed

WITHDRAWN = "\x04"
_CODE = f"""
import sys
lines = sys.stdin.read().splitlines()
if lines and lines[-1] != {WITHDRAWN!r}:
    print(lines[-1], file=sys.stderr, flush=True)
"""


class Watchdog:
    """A context manager that prints the last prepared message if this process ends without leaving it in order."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            start_new_session=True, text=True, encoding="utf-8",
        )  # fmt: skip

    def prepare(self, message: str) -> None:
        """Replace the message to print if this process vanishes."""
        assert self._process.stdin is not None
        self._process.stdin.write(message.replace("\n", " ") + "\n")
        self._process.stdin.flush()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        """Withdraw the message at an orderly end, and after RankFailed, of which all ranks know; otherwise print it."""
        if kind is None or issubclass(kind, RankFailed):
            self.prepare(WITHDRAWN)
        self._process.communicate()


__all__ = ["Watchdog"]
