"""Ctrl-C while the command `tinyres` is still importing: end with the word "stopped" instead of a traceback.

Only for the command. In a program that imports tinyres, signal handlers stay as they are.
"""

from __future__ import annotations

import os
import signal
import sys  # and nothing that takes long to import: until this module is there, Ctrl-C is a traceback
from contextlib import suppress


def _stop(number: int, frame: object) -> None:
    os.write(2, b"\nstopped\n")
    os._exit(130)  # at once: modules are half imported, and nothing has been written that could be lost


def is_command() -> bool:
    """Whether this process is `tinyres ...` or `python -m tinyres ...`."""
    words = sys.orig_argv[1:3]
    return words == ["-m", "tinyres"] or any(os.path.basename(word) in ("tinyres", "tinyres.exe") for word in words[:1])


def over() -> None:
    """The imports are done: from now on Ctrl-C raises KeyboardInterrupt as usual."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as under nohup
    with suppress(ValueError):  # not the main thread, whose signals these are
        signal.signal(signal.SIGINT, _stop)
