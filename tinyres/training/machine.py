"""What decides how sums are rounded, besides the recipe: device, processor, threads and processes.

A sum that is split among more threads, or that uses wider registers, adds in another order. Its last bits differ then,
and from there on the training differs: it is just as good, but not the same bit for bit.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping
from typing import Any

from threadpoolctl import threadpool_info

from tinyres.arrays import get_num_threads


def machine(device: str = "cpu", processes: int = 1) -> dict[str, str | int]:
    """This process's machine, as JSON values.

    device: "cpu", or the name of the GPU; cpu: the processor's kind, as the compiler calls it; threads: those of the
    compiled kernels; blas_threads: those that NumPy's own products use; processes: how many share a batch.
    """
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    return {
        "device": _gpu() if device == "cuda" else device,
        "cpu": _cpu(),
        "threads": get_num_threads(),
        "blas_threads": max(blas, default=1),
        "processes": processes,
    }


def differences(there: Mapping[str, Any] | None, here: Mapping[str, Any]) -> str:
    """How the machines differ, as in "threads 4 there and 2 here"; empty if nothing is known to differ."""
    both = ((name, (there or {}).get(name, value), value) for name, value in here.items())
    return ", ".join(f"{name.replace('_', ' ')} {saved} there and {value} here" for name, saved, value in both
                     if saved != value)  # fmt: skip


def read(found: Any) -> dict[str, str | int] | None:
    """What a file says of the machine; None if it was written before files said so.

    Raises:
        ValueError: it is no mapping to texts and whole numbers.
    """
    if found is None:
        return None
    if not isinstance(found, dict) or not all(type(value) in (str, int) for value in found.values()):
        raise ValueError(f"its machine is {str(found)[:80]!r}; texts and whole numbers by name are needed")
    return found


def _cpu() -> str:
    try:
        return str(importlib.import_module("llvmlite.binding").get_host_cpu_name())
    except ImportError:
        return platform.machine()


def _gpu() -> str:
    runtime = importlib.import_module("cupy").cuda.runtime
    name = runtime.getDeviceProperties(runtime.getDevice())["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


__all__ = ["differences", "machine", "read"]
