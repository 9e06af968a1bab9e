"""The suite's tests that need a GPU, run by pytest in a process of its own, told test by test."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import tinyres
from tinyres.bench.gpu.parts import PARTS, Row

MARGIN = 8  # seconds before the part's end at which pytest is stopped, so that what it did can be told
SHOWN = 8
# A line of `pytest -v`: the test and how it ended.
LINE = re.compile(r"^(\S+::.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b", re.MULTILINE)


def rows(rounds: int) -> Iterator[Row]:
    root = Path(tinyres.__file__).parents[1]
    if not (root / "tests").is_dir() or importlib.util.find_spec("pytest") is None:
        why = "pytest is missing" if (root / "tests").is_dir() else "the tests lie in the repository only"
        yield {"name": "pytest -m gpu", "error": f"not run: {why}"}
        return
    yield tell(*pytest(root, ["-m", "gpu", "tests"], PARTS["suite"].seconds - MARGIN))


def pytest(root: Path, arguments: list[str], seconds: float) -> tuple[str, str | None]:
    """What pytest printed, and why it was stopped, if it was."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "-v", "--tb=short",
               "-p", "no:cacheprovider", *arguments]  # fmt: skip
    # Numba warns of small grids, and the suite takes every warning for an error: tests are small on purpose.
    environment = {**os.environ, "NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS": "0", "PYTHONUNBUFFERED": "1"}
    try:
        done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds, check=False)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return (late.output or b"").decode(errors="replace"), f"stopped after {seconds:.0f} s"
    text = done.stdout.decode(errors="replace")
    return text, None if done.returncode in (0, 1) else f"pytest ended with {done.returncode}: {text[-300:].strip()}"


def tell(text: str, stopped: str | None) -> Row:
    """Counts, the tests that failed first, and the end of the output where any did."""
    ended = LINE.findall(text)
    counts = Counter(how.lower() for _, how in ended)
    failed = [test for test, how in ended if how in ("FAILED", "ERROR")]
    row: Row = {"name": "pytest -m gpu", "counts": dict(counts), "failed": len(failed), "first": failed[:SHOWN]}
    if failed:
        row["reasons"] = re.findall(r"^(?:FAILED|ERROR) .*", text, re.MULTILINE)[:SHOWN]
    return row | ({"error": stopped} if stopped else {})
