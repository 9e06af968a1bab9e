"""A lock on a folder, so that only one run writes into it. It ends with its process, even if that is killed."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from types import TracebackType

NAME = ".tinyres-lock"  # exists while a run writes into the folder; one that a killed run left behind does no harm
ORPHANS = ".tinyres-*.tmp"  # what `files.write` leaves where it is killed
UNGUARDED = "the file system of {} has no locks: make sure that no other run writes there at the same time"


class FolderTaken(RuntimeError):
    """Another running process writes into the folder."""


class FolderLock:
    """Locks a folder until `close` or the end of the process; a context manager.

    It uses the system's own lock (flock) on a small file that names the process, and deletes that file at its end. As
    nobody else writes into a locked folder, it also removes half-written files that a killed run left there.

    Args:
        folder: it must exist.
        inside: names of folders in it that the run writes into as well.

    Attributes:
        held: whether the folder is locked. Windows and some network file systems have no such locks; then it is False,
            and nothing is guarded.

    Raises:
        FolderTaken: another process has locked it; the message says which one.
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
        """Release the lock."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)  # before the release: after it, the file may be another run's
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take(path: Path) -> int | None:
    """A file descriptor that holds the lock; None if the system has no locks."""
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
                f"another run is writing into {path.parent}{who}: wait for it, or choose another folder"
            ) from error
        except OSError:  # a file system without locks
            os.close(handle)
            path.unlink(missing_ok=True)
            return None
        if _is(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {platform.node()}\n".encode())
            return handle
        os.close(handle)  # the run that held it ended in between and deleted the file: try again with a new one


def _holder(handle: int) -> str:
    found = re.match(rb"process \d+ on [\w.-]+", os.pread(handle, 300, 0))
    return f" ({found[0].decode()})" if found else ""


def _is(handle: int, path: Path) -> bool:
    """Whether `path` is still the file that was opened."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


__all__ = ["FolderLock", "FolderTaken"]
