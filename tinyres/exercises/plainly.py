"""An answer that is not right: a sentence and a hint, without the traceback of the checker above them."""

from __future__ import annotations

import sys
from pathlib import Path
from traceback import walk_tb
from types import TracebackType


class NotRight(AssertionError):
    """The answer to an exercise is not right; the message says where, and gives a hint."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows in place of a traceback (IPython asks for it)."""
        return [str(self)]


def raised_in(folder: Path, error: BaseException) -> bool:
    """Whether the error was raised by a file in the folder, rather than by what that file called."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and Path(frames[-1].f_code.co_filename).parent == folder


def show_plainly() -> None:
    """From now on, a script that ends in `NotRight` prints its message alone. A hook of somebody else's stays."""
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _shown


def _shown(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, NotRight):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
