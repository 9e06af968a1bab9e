"""Processes under mpiexec, for the tests: none outlives its test."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.training.distributed import ranks_work

ROOT = Path(__file__).parents[3]
UNDRAWN = str(Path(__file__).with_name("undrawn.py"))
BESIDE = Path(sys.executable).parent / "mpiexec"  # where the wheel of MPICH puts it
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")

NEEDS_MPI = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and an MPI with mpiexec"
)


def environment():
    own = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels"))), "NUMBA_NUM_THREADS": "1"}
    return {**os.environ, **own, "PYTHONWARNINGS": "error"}


@contextmanager
def started(*command, count=2):
    """So many processes of Python. Whatever is left of them at the end is killed, so that no test hangs."""
    process = subprocess.Popen(
        [MPIEXEC, "-n", str(count), sys.executable, *map(str, command)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        for pid in [*below(process.pid), process.pid] if process.poll() is None else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def ended(process, seconds=90):
    """(exit status, what was printed, what went to stderr); an error if that takes longer."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def mpiexec(*command, count=2, seconds=90):
    with started(*command, count=count) as process:
        return ended(process, seconds)


def below(parent):
    """The processes that a process has started, and theirs."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            children.setdefault(int(stat.read_text().rsplit(")", 1)[1].split()[1]), []).append(int(stat.parent.name))
    found = [parent]
    for pid in found:
        found += children.get(pid, [])
    return found[1:]


def ranks_of(process):
    """The processes of a command below mpiexec and its proxies, in the order of their ranks."""
    found = {}
    for pid in below(process.pid):
        with suppress(OSError):
            environ = Path(f"/proc/{pid}/environ").read_text().split("\0")
            if UNDRAWN in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                names = dict(entry.split("=", 1) for entry in environ if "=" in entry)
                found[int(names.get("PMI_RANK", names.get("OMPI_COMM_WORLD_RANK", "-1")))] = pid
    return [found[rank] for rank in sorted(found)]


def work(*arguments, **named):
    return mpiexec(ROOT / "tests" / "training" / "distributed" / "ranks_work.py", *arguments, **named)


def several(folder, tasks, **named):
    """Tasks in one world of processes, which takes seconds to start: those that end none of its ranks."""
    (folder / "tasks.json").write_text(json.dumps(tasks))
    return work("several", folder, folder / "tasks.json", **named)


def wait_for(path, process):
    """Until the file is there. A process that ends without it, or a busy machine that takes minutes, is an error."""
    deadline = time.monotonic() + 300  # a busy machine starts three Pythons one after the other
    while not path.exists():
        assert process.poll() is None, f"{path} does not come: {process.communicate()}"
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.01)


def same_files(a, b):
    x, y = tr.load(a / "run.safetensors"), tr.load(b / "run.safetensors")
    assert set(x) == set(y)
    return all(np.array_equal(x[key], y[key]) for key in x)


SMALL = (UNDRAWN, *ranks_work.SMALL)
