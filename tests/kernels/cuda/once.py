"""What takes minutes is found once: kept on disk for as long as its sources and packages stay what they are.

Within a run, the first of pytest's workers to ask finds it, and the others wait for its file. What is kept is what a
program printed, never a verdict: the tests judge it anew each time.
"""

import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest
from filelock import FileLock
from numba import config

HERE = Path(__file__).parent
KERNELS = HERE.parents[2] / "kernels" / "tinyres_kernels"
SOURCES = KERNELS, HERE, HERE.parent / "fuzz"
PACKAGES = "numba", "numpy", "llvmlite", "cuda-", "nvidia-"


def stamp(*folders) -> str:
    """A hash of the sources in these folders, of Python's version, and of those of the packages that run them."""
    found = hashlib.sha256(f"{sys.implementation.cache_tag} {platform.python_version()} {platform.machine()}".encode())
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".cu", ".cuh", ".h")):
            found.update(f"\n{file.relative_to(folder)} {hashlib.sha256(file.read_bytes()).hexdigest()}".encode())
    for name, version in sorted((each.metadata["Name"] or "", each.version) for each in distributions()):
        if name.lower().startswith(PACKAGES):
            found.update(f"\n{name} {version}".encode())
    return found.hexdigest()


@cache
def stamp_of_all() -> str:
    return stamp(*SOURCES)


def kept(folder, name, key, find, sound=lambda text: True) -> str:
    """What `find()` returned before, where that was of the same key; else what it returns now, kept if it is sound.

    A file that is damaged, of another key, or not to be read counts for nothing; nor does a folder that cannot be
    written to. Only the newest result of a name is kept.
    """
    file = folder / f"{name}.kept"
    with suppress(OSError, UnicodeDecodeError):
        first, _, text = file.read_text(encoding="utf-8").partition("\n")
        if first == f"{key} {hashlib.sha256(text.encode()).hexdigest()}":
            return text
    text = find()
    if sound(text):
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{key} {hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
    return text


def within_run(tmp_path_factory, name, find) -> str:
    """The text that `find()` returns, found once by all workers of this run."""
    folder = Path(tmp_path_factory.getbasetemp())
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # which all workers share
    here = folder / f"{name}.found"
    with FileLock(folder / f"{name}.lock"):
        if not here.exists():
            here.write_text(find())
        return here.read_text()


def on_disk() -> Path:
    """The folder for what is kept: beside the machine code that the CUDA kernels keep."""
    return Path(config.CACHE_DIR or KERNELS / "cuda" / "__pycache__")


def found_once(tmp_path_factory, name, find, sound=lambda text: True) -> str:
    """As `within_run`, and kept for other runs."""
    return within_run(tmp_path_factory, name, lambda: kept(on_disk(), name, stamp_of_all(), find, sound))


def program(name, folder=HERE):
    """One of the programs beside this file, for the names of its checks; nothing is simulated."""
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(text) -> dict:
    """A program's lines: what each check found, by its name."""
    return dict(map(json.loads, text.splitlines()))


def simulated(tmp_path_factory, name, *arguments, folder=HERE) -> dict:
    """What each check of a program found, run in the simulator by a process of its own. Kept if no check found a
    fault.
    """
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(sys.path)}

    def simulate():
        command = [sys.executable, str(folder / f"{name}.py"), *arguments]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        look = [sys.executable, "-c", "from numba import cuda"]
        if run.returncode and subprocess.run(look, env=environment, capture_output=True).returncode:
            pytest.skip(
                "NO SIMULATOR: numba-cuda is missing, so no CUDA kernel was run; pip install 'numba-cuda[cu12]'"
            )
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    def sound(text):
        return not any(told(text).values())

    return told(found_once(tmp_path_factory, "_".join((name, *arguments)), simulate, sound))


def simulated_titles(*programs):
    """(program, which of its checks, the title of one), all of them: the few are looked at every time."""
    return [
        pytest.param(name, what, title, marks=[] if what == "few" else [pytest.mark.slow], id=f"{name}: {title}")
        for name in programs
        for what, titles in program(name).NAMES.items()
        for title in titles
    ]
