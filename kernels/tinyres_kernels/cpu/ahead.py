"""Compile on a second core: what a training step needs last is compiled alongside what it needs first.

The first process that finds no compiled code starts another one, which calls the kernels of a step on a few small
arrays, from the last to the first (`small_step.py`). Their code is on disk when the first process needs it, and
`turns.py` keeps the two from compiling the same function. It ends with the process that started it.

TINYRES_COMPILE_AHEAD=0 in the environment switches it off.
"""

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from tinyres_kernels.cpu.turns import Turn

SWITCH = "TINYRES_COMPILE_AHEAD"
MODULE = "tinyres_kernels.cpu.small_step"
NAME = "ahead"  # whose turn the second process takes: one is enough


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def begin(folder: Path) -> None:
    """Start the second process, if there is a core for it and none is at work for this folder."""
    # A frozen program is its own interpreter: it would start itself.
    if os.environ.get(SWITCH) == "0" or _cores() < 2 or not sys.executable or getattr(sys, "frozen", False):
        return
    turn = Turn(folder, NAME)
    if turn.take(patience=0):
        return
    turn.end()
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    command = [sys.executable, "-m", MODULE, str(folder), str(os.getpid())]
    nothing = subprocess.DEVNULL
    try:
        child = subprocess.Popen(
            command, env={**os.environ, SWITCH: "0", "PYTHONPATH": path}, stdin=nothing, stdout=nothing, stderr=nothing
        )
    except OSError:  # no process to be had: everything is compiled here
        return
    atexit.register(_end, child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
