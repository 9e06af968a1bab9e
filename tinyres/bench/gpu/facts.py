"""What is installed, where the compilers lie, and which card it is: asked first, as most failures begin here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import distributions

from tinyres.bench.gpu import card
from tinyres.bench.gpu.parts import Row, attempt

TOLD = ("cupy", "cuda-", "numba", "llvmlite", "numpy", "nvidia-", "torch", "pytest", "hypothesis", "pooch", "scipy")
VARIABLES = ("CUDA_HOME", "CUDA_PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "NUMBA_CACHE_DIR")
LIBRARIES = ("nvvm", "libdevice", "nvrtc", "cudart_static")
QUERY = "name,driver_version,memory.used,memory.total,clocks.sm,clocks.max.sm,power.limit,compute_mode"


def rows(rounds: int) -> Iterator[Row]:
    yield attempt("packages", packages)
    yield attempt("compilers", compilers)
    yield attempt("nvidia-smi", smi)
    yield {"part": "card", **attempt("card", card.describe)}


def packages() -> Row:
    """Versions of what computes here, as installed, and the variables that decide what is found."""
    found = {d.metadata["Name"] or "": d.version for d in distributions()}
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {name: found[name] for name in sorted(found) if name.lower().startswith(TOLD)},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }


def compilers() -> Row:
    """Where Numba finds the libraries that make machine code."""
    paths = import_module("numba.cuda.cuda_paths").get_cuda_paths()
    return {"paths": {name: str(paths[name].info) for name in LIBRARIES if name in paths},
            "nvcc": shutil.which("nvcc")}  # fmt: skip


def smi() -> Row:
    """The driver's own words. Nothing is set: clocks and limits stay as they are."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=8, check=True).stdout
    return {"asked": QUERY, "said": said.strip()}
