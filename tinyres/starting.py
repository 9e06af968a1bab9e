"""The command `tinyres` while it is being imported: Ctrl-C ends it with a word, and no traceback.

In a program of the reader's own nothing is touched: there Ctrl-C is the program's business.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any


def _stop(number: int, frame: Any) -> None:
    os.write(2, b"\nstopped\n")
    os._exit(130)  # no module is whole yet, and nothing has been written


def is_command() -> bool:
    """Whether this process is `tinyres ...` or `python -m tinyres ...`."""
    words = sys.orig_argv[1:3]
    return words == ["-m", "tinyres"] or any(os.path.basename(word) in ("tinyres", "tinyres.exe") for word in words[:1])


def over() -> None:
    """From here on, Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if (
    is_command()
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where it is ignored, as under nohup
):
    signal.signal(signal.SIGINT, _stop)
