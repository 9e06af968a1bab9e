"""One run a folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from types import TracebackType

NAME = ".tinyres-lock"  # there while a run writes into the folder; a dead run's is in nobody's way
ORPHANS = ".tinyres-*.tmp"  # what `files.write` leaves where it is killed
UNGUARDED = "the file system of {} has no locks: make sure that no other run writes there at the same time"


class FolderTaken(RuntimeError):
    """Another process that is alive writes into the folder."""


class FolderLock:
    """Holds a folder until `close`, or the end of the process; a context manager.

    It is the system's own lock (flock) on a small file that tells who holds it, and the file goes when the lock does.
    Nobody else writes there then, so what a killed run left half-written is removed.

    Args:
        folder: it has to exist.
        inside: names of folders in it that the run writes into as well.

    Attributes:
        held: whether there is a lock: some network file systems have none, nor has Windows. Nothing is guarded then.

    Raises:
        FolderTaken: another process holds it; the message tells which one.
        OSError: the folder does not exist, or nothing can be written there.
    """

    def __init__(self, folder: Path, *inside: str) -> None:
        self._path = folder / NAME
        self._handle = _take(self._path)
        if self.held:
            for place in (folder, *(folder / name for name in inside)):
                for orphan in place.glob(ORPHANS):
                    orphan.unlink(missing_ok=True)

    @property
    def held(self) -> bool:
        return self._handle is not None

    def close(self) -> None:
        """Let others in."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)  # while it is held: later it may be another run's
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take(path: Path) -> int | None:
    """A handle that holds the lock; None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = _holder(handle)
            os.close(handle)
            raise FolderTaken(
                f"another run is writing into {path.parent}{who}: wait for it, or name another folder"
            ) from error
        except OSError:  # a file system without locks
            os.close(handle)
            path.unlink(missing_ok=True)
            return None
        if _is(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
            return handle
        os.close(handle)  # the run that held it has just ended, and took the file along


def _holder(handle: int) -> str:
    found = re.match(rb"process \d+ on [\w.-]+", os.pread(handle, 300, 0))
    return f" ({found[0].decode()})" if found else ""


def _is(handle: int, path: Path) -> bool:
    """Whether the file that was opened still has that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


__all__ = ["FolderLock", "FolderTaken"]
