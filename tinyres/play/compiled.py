"""Compiled kernels for convolutional nets: another process compiles them, while the net trains on whole-array ones.

Compiling takes ten seconds or more the first time, and would hold up every thread of this process. A run begins on the
set "im2col" and changes to "cpu" once a step of the same net has been taken in the other process: what that compiled is
on disk then, and is loaded from there.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from typing import Any

_lock = threading.Lock()
_begun: dict[str, subprocess.Popen[bytes]] = {}
DECIDES = ("architecture", "width", "batch")  # what a kernel's code depends on; the depth is not among it


def ready(setting: dict[str, Any]) -> bool:
    """Whether the compiled kernels for this net can be used; the first question begins to compile them."""
    if getattr(sys, "frozen", False) or not sys.executable or not _numba():
        return False
    key = json.dumps([setting[name] for name in DECIDES])
    with _lock:
        if key not in _begun:
            _begun[key] = _begin(setting)
        return _begun[key].poll() == 0


def _begin(setting: dict[str, Any]) -> subprocess.Popen[bytes]:
    shallow = {**setting, "depth": 14 if setting["architecture"] not in ("highway", "densenet") else 13}
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    nothing = subprocess.DEVNULL
    command = [sys.executable, "-m", "tinyres.play.ahead", json.dumps(shallow), str(os.getpid())]
    child = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdin=nothing, stdout=nothing, stderr=nothing
    )
    atexit.register(_end, child)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def _numba() -> bool:
    from tinyres.arrays.dispatch import has_numba

    return has_numba()
