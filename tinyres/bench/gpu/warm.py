"""The CUDA kernels of a staged run, compiled by several processes before the first one is launched.

A kernel takes Numba one to three seconds of a core, and one process would spend minutes on it. `kernels.json` lists
them, one a line: how each is made, and what it is given; `python -m tests.bench.record` writes it, and a test holds it
up to date. The machine code goes to where launches look for it, so whatever is there already is not compiled again.
No GPU is needed for it:

python -m tinyres.bench.gpu.warm 9.0 [PROCESSES]     compile for a compute capability
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.race import said

LIST = Path(__file__).with_name("kernels.json")
SPARE = 2  # cores left to what runs beside
SHOWN = 5
Target = tuple[int, int]


def rows(rounds: int) -> Iterator[Row]:
    """The GPU's kernels, and the CPU's, which the suite holds them against."""
    processes = max(1, (os.cpu_count() or 1) - SPARE)
    yield attempt("CUDA kernels", lambda: compile_all(listed(), _capability(), processes))
    yield attempt("CPU kernels", lambda: compile_host(processes))


def listed() -> list[Any]:
    """Every kernel of the list, as `one` takes it."""
    found: list[Any] = json.loads(LIST.read_text(encoding="utf-8"))
    return found


def compile_all(kernels: Sequence[Any], target: Target, processes: int) -> Row:
    """How many were compiled now, and how many had been before. One that cannot be costs no other."""
    began = time.perf_counter()
    spawn = multiprocessing.get_context("spawn")  # a fork would take along what CuPy has begun
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        done = list(pool.map(partial(_told, target=target), kernels))
    failed = [f"{kernel['make']}: {why}" for kernel, (_, why) in zip(kernels, done, strict=True) if why]
    row: Row = {"kernels": len(kernels), "compiled": sum(seconds is not None for seconds, _ in done),
                "seconds": time.perf_counter() - began, "core_seconds": sum(s or 0.0 for s, _ in done),
                "target": list(target), "failed": len(failed)}  # fmt: skip
    row["kept"] = row["kernels"] - row["compiled"] - row["failed"]
    if failed:
        row["error"] = f"{len(failed)} of {len(kernels)} not compiled: {'; '.join(failed[:SHOWN])}"
    return row


def compile_host(processes: int) -> Row:
    """The compiled kernels of the CPU, in both types, by putting their named cases to them."""
    from tinyres_kernels.conformance import OPS

    began = time.perf_counter()
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_on_host, OPS))
    return {"operations": len(OPS), "seconds": time.perf_counter() - began}


def _on_host(op: str) -> None:
    from tinyres_kernels import cpu
    from tinyres_kernels.conformance import check

    check(getattr(cpu, op), op, examples=0)


def _told(kernel: Any, target: Target) -> tuple[float | None, str]:
    """Seconds of the compilation, None where there was none; why not, where it failed."""
    try:
        return one(kernel, target), ""
    except Exception as error:
        return None, said(error)


def one(kernel: Any, target: Target) -> float | None:
    """Compile a kernel of the list; the seconds that it took, None where its machine code was there already."""
    from tinyres_kernels.cuda import launching

    module, name = kernel["make"].rsplit(".", 1)
    compiled = getattr(import_module(module), name)(*map(decoded, kernel["given"]))
    signature = launching.types.void(*map(_type, kernel["arguments"]))
    file, began = launching.place(compiled, signature, target), time.perf_counter()
    before = _when(file)
    launching.machine_code(compiled, signature, target)
    return None if before is not None and _when(file) == before else time.perf_counter() - began


def _when(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def encoded(value: Any) -> Any:
    """What a kernel is made with, as JSON: types of numbers and named tuples by their names."""
    if isinstance(value, type):
        return {"type": value.__name__}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        kind = type(value)
        return {"tuple": f"{kind.__module__}.{kind.__qualname__}", "of": [encoded(each) for each in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"kernels.json holds types, numbers, strings and named tuples of them, got {value!r}")


def decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "type" in value:
        return getattr(import_module("numpy"), value["type"])
    module, name = value["tuple"].rsplit(".", 1)
    return getattr(import_module(module), name)(*map(decoded, value["of"]))


def _type(argument: Any) -> Any:
    """Numba's type: ["float32", 2, "C"] is an array with two axes, ["int64", 6] a tuple, "int64" a number."""
    import numba
    from tinyres_kernels.cuda.launching import types

    if isinstance(argument, str):
        return getattr(types, argument)
    if len(argument) == 2:
        return types.UniTuple(getattr(types, argument[0]), argument[1])
    return types.Array(getattr(numba, argument[0]), *argument[1:])


def _capability() -> Target:
    import cupy

    major, minor = divmod(int(cupy.cuda.Device().compute_capability), 10)
    return major, minor


if __name__ == "__main__":
    words = [*sys.argv[1:], str(os.cpu_count() or 1)]
    first, second = words[0].split(".")
    print(json.dumps(compile_all(listed(), (int(first), int(second)), int(words[1]))))
