"""Keep compiled code on disk if possible; a cache that cannot be used costs time, and nothing else.

Numba's own cache stops the program if no folder is writable, the disk is full, or a file is damaged.

Of several processes that need the same code at once, one compiles it, and the others wait for that (`turns.py`). The
first that finds nothing on disk has a second process compile what it is likely to need next (`ahead.py`).
"""

import hashlib
import pickle
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.runtime.nrt import rtsys

from tinyres_kernels import waiting
from tinyres_kernels.cpu import ahead
from tinyres_kernels.cpu.turns import PATIENCE, Turn

patient = True  # whether to wait for another process that compiles a function, or else to raise `Busy`
_SETTING = "the environment variable NUMBA_CACHE_DIR names another folder for it"


class Busy(Exception):
    """Another process is compiling the function."""


@cache
def _tell(sentence: str) -> None:
    """Once per process, for whichever kernel comes first."""
    print(f"tinyres_kernels: {sentence}; {_SETTING}", file=sys.stderr)


class _Files(IndexDataCacheFile):
    """Numba's files, with a checksum before the code: six wrong bytes in the middle may well be loaded and run."""

    def _save_data(self, name: str, data: Any) -> None:
        code = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(hashlib.sha256(code).digest() + code)

    def _load_data(self, name: str) -> Any:
        content = Path(self._data_path(name)).read_bytes()
        digest, code = content[:32], content[32:]
        if hashlib.sha256(code).digest() != digest:
            raise ValueError("damaged")
        return pickle.loads(code)

    def drop(self) -> None:
        """Take the index away: what it lists is compiled anew, and written over."""
        Path(self._index_path).unlink(missing_ok=True)


class _Kept(FunctionCache):
    """Numba's cache of one function, for which no file is worth an error."""

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        name = self._impl.filename_base
        self._files = self._cache_file = _Files(self.cache_path, name, stamp)
        self._turn = Turn(Path(self.cache_path), name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for this signature, or None: then this process must compile and save it."""
        found = self._load(sig, target_context)
        if found is None:
            waiting.told(True)
            if self._turn.take(PATIENCE if patient else 0):
                if not patient:
                    raise Busy
                found = self._load(sig, target_context)  # another process may have made it meanwhile
            if found is None:
                if where := folder(keep):
                    ahead.begin(where)
                return None
            waiting.told(False)
        self._turn.end()
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        """What is on disk, or None: there is none, or the file cannot be read.

        Numba's `load_overload` first imports all that it could compile, and SciPy with it: a third of a second, and
        what is loaded needs none of it but the runtime.
        """
        try:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except OSError as error:
            _tell(
                f"compiled kernels cannot be read from {self.cache_path} ({error.strerror}), so they are compiled anew"
            )
        except Exception:  # of a damaged file: pickle's, LLVM's, or any that its bytes happen to spell
            _tell(f"a file of compiled kernels in {self.cache_path} is damaged, so what it held is compiled anew")
            with suppress(OSError):
                self._files.drop()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it for other processes, if that can be done."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            why = f"compiled kernels cannot be kept in {self.cache_path} ({error.strerror})"
            _tell(f"{why}, so they are compiled anew in every process")
            self.disable()
        finally:
            self._turn.end()
            waiting.told(False)


def folder(function: Any) -> Path | None:
    """Where compiled code of the function's file is kept; None where there is no place for it."""
    try:
        return Path(_Kept(function).cache_path)
    except (RuntimeError, OSError):
        return None


def keep(dispatcher: Any, function: FunctionType) -> None:
    """Let a compiled function keep its code on disk, in the first folder of Numba's that can be written to."""
    try:
        dispatcher._cache = _Kept(function)
    except (RuntimeError, OSError):  # no folder
        _tell("there is no folder to keep compiled kernels in, so they are compiled anew in every process")
        dispatcher._cache = NullCache()
