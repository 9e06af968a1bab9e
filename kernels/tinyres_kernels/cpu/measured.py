"""What trials have found on this machine (`trial.py`), kept on disk beside the compiled kernels.

    {"conv2d_dw (4, 7, 7, 512) (4, 7, 7, 512) (3, 3, 512, 512) 4 2 ...": {"winograd": false}, ...}

Another processor, other kernels or other limits have a file of their own. TINYRES_TRIALS=0 in the environment leaves it
aside: then every choice follows from the limits in `choices.py` alone.
"""

import hashlib
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numba
from llvmlite import binding

from tinyres_kernels.cpu.cache import folder
from tinyres_kernels.cpu.choices import FLAGS, LIMITS, Wanted
from tinyres_kernels.cpu.jit import SOURCES

SWITCH = "TINYRES_TRIALS"
Found = dict[str, Wanted]


def key(op: str, shapes: Any, itemsize: int, threads: int, s: Any) -> str:
    """What a trial is about."""
    return " ".join(map(str, (op, *shapes, itemsize, threads, *s)))


@cache
def file() -> Path | None:
    """Where they are kept, if anywhere. Its name tells what speeds depend on: the processor that kernels are compiled
    for, the kernels, and the limits."""
    place = None if os.environ.get(SWITCH) == "0" else folder(key)
    target = (getattr(numba.config, name, None) for name in ("CPU_NAME", "CPU_FEATURES"))
    host = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    about = repr((*target, *host, numba.__version__, SOURCES, *LIMITS.items())).encode()
    return place and place / f"tinyres-choices-{hashlib.sha256(about).hexdigest()[:12]}.json"


def read() -> Found:
    """All that was found; nothing, where there is no file, or none that makes sense."""
    known, where = FLAGS.keys() | LIMITS.keys(), file()
    with suppress(OSError, ValueError, AttributeError, TypeError):
        found = json.loads(where.read_text("utf-8")) if where else {}
        if all(known >= choice.keys() for choice in found.values()):
            return {about: tuple(sorted(choice.items())) for about, choice in found.items()}
    return {}


@cache
def found() -> Found:
    """What this process goes by: what was on disk when it first asked, and what it has tried, or read, since."""
    return read()


def keep(about: str, choice: Wanted) -> bool:
    """Add a choice to the file; whether that could be done. By one process at a time."""
    where = file()
    if where is None:
        return False
    choices = {name: dict(each) for name, each in (read() | {about: choice}).items()}
    written = None
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=where.parent, suffix=".tmp", delete=False) as written:
            json.dump(choices, written, indent=1)
        os.replace(written.name, where)
    except OSError:
        if written is not None:  # a full disk, say: nothing is left behind
            Path(written.name).unlink(missing_ok=True)
        return False
    return True
