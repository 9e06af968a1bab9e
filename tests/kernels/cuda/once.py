"""What takes minutes is found once, by the first of pytest's workers to ask; the others wait for its file."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

HERE = Path(__file__).parent


def found_once(tmp_path_factory, name, find) -> str:
    """The text that `find()` returns."""
    folder = Path(tmp_path_factory.getbasetemp())
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # which all workers share
    kept = folder / name
    with FileLock(folder / f"{name}.lock"):
        if not kept.exists():
            kept.write_text(find())
        return kept.read_text()


def program(name):
    """One of the programs beside this file, for the names of its checks; nothing is simulated."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def simulated(tmp_path_factory, name) -> dict:
    """What each check of a program found, run in the simulator by a process of its own."""
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    look = subprocess.run(
        [sys.executable, "-c", "from numba import cuda"], env=environment, capture_output=True, text=True
    )
    if look.returncode:
        pytest.skip("NO SIMULATOR: numba-cuda is missing, so no CUDA kernel was run; pip install 'numba-cuda[cu12]'")

    def simulate():
        command = [sys.executable, str(HERE / f"{name}.py")]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    return dict(map(json.loads, found_once(tmp_path_factory, f"{name}.jsonl", simulate).splitlines()))
