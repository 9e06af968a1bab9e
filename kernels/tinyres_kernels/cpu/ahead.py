"""Compile on a second core: what a training step needs later is compiled alongside what it needs now.

The first process that finds no compiled code starts another one, and tells it each plan that it makes (`plan.py`). That
one compiles what has to follow: for a convolution its two adjoints, with the latest plan first, since the backward pass
begins at the end; and meanwhile what most steps need (`small_step.py`). Their code is on disk when the first process
needs it, and `turns.py` keeps the two from compiling the same function. It ends with the process that started it.

TINYRES_COMPILE_AHEAD=0 in the environment switches it off.
"""

import atexit
import os
import pickle
import subprocess
import sys
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tinyres_kernels.cpu.turns import Turn

SWITCH = "TINYRES_COMPILE_AHEAD"
MODULE = "tinyres_kernels.cpu.small_step"
NAME = "ahead"  # whose turn the second process takes: one is enough

_plans: deque[tuple[Any, ...]] = deque(maxlen=64)  # that nobody has been told yet
_process: list["subprocess.Popen[bytes]"] = []  # the second one, if there is one


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
    environment = {**os.environ, SWITCH: "0", "TINYRES_TRIALS": "0", "PYTHONPATH": path}
    nothing = subprocess.DEVNULL
    try:
        child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing)
    except OSError:  # no process to be had: everything is compiled here
        return
    assert child.stdin
    with suppress(AttributeError, OSError):  # on Windows, where a pipe waits until it is read
        os.set_blocking(child.stdin.fileno(), False)
    atexit.register(_end, child)
    _process.append(child)
    _send()


def tell(*plan: Any) -> None:
    """Tell the second process, if there is one or will be: this was planned for the first time in this process."""
    _plans.append(plan)
    if _process:
        _send()


def _send() -> None:
    pipe = _process[0].stdin
    assert pipe
    while _plans:
        with suppress(OSError):  # it has ended, or has not read for long: what it is not told is compiled here
            os.write(pipe.fileno(), pickle.dumps(_plans.popleft()))


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    child.wait()
