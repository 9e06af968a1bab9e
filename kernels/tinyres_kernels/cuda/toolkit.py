"""NVIDIA's compiler and linker: where they are, their releases, and what Numba is told to compile for.

Numba compiles with NVVM: `libnvvm`, and `libdevice.10.bc` with the mathematical functions. It looks for both in
NVIDIA's wheels, in conda, in CUDA_HOME and in /usr/local/cuda. A toolkit that is merely on the PATH, or one beside a
CUDA_HOME that holds something else, it does not find; here it is shown.
"""

import ctypes
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import RLock, get_ident
from types import SimpleNamespace
from typing import Any

LIBRARIES = ("nvvm/lib*/libnvvm.so*", "lib*/libnvvm.so*", "nvvm/bin/nvvm*.dll")  # on Linux, in wheels, on Windows
DEVICE = "nvvm/libdevice/libdevice.10.bc"
SYSTEM = "/usr/local/cuda"
Release = tuple[int, int]
MISSING = (0, 0)  # no release
_compiling = RLock()


def places() -> dict[str, list[Path]]:
    """Folders that may hold a CUDA toolkit, by how they are found."""
    homes = {name: os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")}
    found = {f"{name} ({home or 'not set'})": [Path(home)] if home else [] for name, home in homes.items()}
    nvcc = shutil.which("nvcc")
    above = [file.parents[1] for file in (Path(nvcc).absolute(), Path(nvcc).resolve())] if nvcc else []
    found[f"nvcc's folder ({nvcc or 'not on PATH'})"] = above
    found[SYSTEM] = [Path(SYSTEM)]
    found["NVIDIA's wheels"] = [home for folder in sys.path for home in sorted(Path(folder or ".").glob("nvidia/*"))]
    return found


def library(home: Path) -> Path | None:
    """The toolkit's `libnvvm`, where it has that and `libdevice`."""
    if not (home / DEVICE).is_file():
        return None
    return next((file for pattern in LIBRARIES for file in sorted(home.glob(pattern))), None)


@cache
def find_nvvm() -> None:
    """Nothing where Numba finds its compiler, or can be shown it.

    Raises RuntimeError, which says what is missing, where was looked and what to install.
    """
    paths = import_module("numba.cuda.cuda_paths")
    missing = _missing(paths)
    if not missing:
        return
    looked = places()
    for home in (home for homes in looked.values() for home in homes):
        file = library(home)
        if file:
            ctypes.CDLL(str(file))  # what is loaded already, pathfinder takes
            with paths.temporary_env_var("CUDA_HOME", str(home)):  # where Numba looks for libdevice; it remembers
                missing = _missing(paths)
            if not missing:
                return
    raise RuntimeError(
        f"Numba cannot compile the CUDA kernels ({str(missing).splitlines()[0]}): looked for a folder with libnvvm and "
        f"libdevice.10.bc in {', '.join(looked)}; pip install 'numba-cuda[cu13]' (or [cu12], as nvidia-smi's CUDA "
        "version has it) brings one, or set CUDA_HOME to a toolkit's"
    ) from missing


def _missing(paths: Any) -> Exception | None:
    """What keeps Numba from compiling, if anything."""
    try:
        device = paths.get_cuda_paths()["libdevice"].info
        if device and Path(device).is_file():
            return None
    except Exception as failed:  # pathfinder's DynamicLibNotFoundError, which has moved between its versions
        return failed
    vars(paths.get_cuda_paths).clear()  # where it keeps what it found
    return FileNotFoundError("libdevice.10.bc was not found")


@contextmanager
def compiling_for(target: Release) -> Iterator[None]:
    """Inside, what this thread compiles is for a compute capability, and Numba does not ask the device for its own.

    It would ask for each function that a kernel calls, and refuse where the context is not its own: 'Numba cannot
    operate on non-primary context'. No setting of Numba's states the capability of such a function.
    """
    dispatcher: Any = import_module("numba.cuda.dispatcher")
    stated, thread = SimpleNamespace(compute_capability=target), get_ident()
    with _compiling:
        asked = dispatcher.get_current_device
        dispatcher.get_current_device = lambda: stated if get_ident() == thread else asked()
        try:
            yield
        finally:
            dispatcher.get_current_device = asked


def compiled_by(text: str) -> Release:
    """The release of NVVM that wrote some PTX, which names it."""
    found = re.search(r"release (\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else MISSING


def linked_by() -> Release:
    """The release of nvJitLink that is installed; `MISSING` where there is none."""
    try:
        major, minor = import_module("cuda.bindings.nvjitlink").version()
    except Exception:  # that it is missing shows in many ways, none of them of one class
        return MISSING
    return major, minor
