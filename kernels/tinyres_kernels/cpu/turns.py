"""Processes that share a folder of compiled code take turns: one compiles a function, the others wait and load it.

A turn is the lock of one byte of a file in that folder; the system gives it back when the process ends, however it
does. Where the system, or the folder's file system, has no such locks, nobody waits, and two may compile the same.
"""

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from zlib import crc32

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

PATIENCE = 60.0  # seconds, after which a process compiles for itself: the other may have been stopped
FILE = "tinyres-kernels.lock"


@cache
def _file(folder: Path, process: int) -> int:
    """The lock file, or -1. It is opened once: to close one descriptor of it would end every turn of the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return -1


class Turn:
    """The turn at one name in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._place = folder, crc32(name.encode())

    def take(self, patience: float = PATIENCE) -> bool:
        """Wait for the turn. True if another process had it before, so that its result may be there now."""
        waited, end = False, time.monotonic() + patience
        while not self._lock():
            waited = True
            if time.monotonic() >= end:
                break
            time.sleep(0.01)
        return waited

    def _lock(self) -> bool:
        """Whether the turn is ours, or there are no locks here."""
        file = _file(self._folder, os.getpid())
        if fcntl is None or file < 0:
            return True
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._place)
        except (BlockingIOError, PermissionError):
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def end(self) -> None:
        """Give it back."""
        file = _file(self._folder, os.getpid())
        if fcntl is not None and file >= 0:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_UN, 1, self._place)
