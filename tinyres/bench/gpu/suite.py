"""The suite's tests that need a GPU, run by pytest in a process of its own, told test by test.

Several workers share them where pytest-xdist is installed. A warning is no error here: the suite takes every one for an
error, but this machine's NumPy, CuPy and PyTorch are whatever they are. A file that cannot be read costs its own tests.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tinyres
from tinyres.bench import children
from tinyres.bench.gpu.parts import PARTS, Row, attempt

MARGIN = 8  # seconds before the part's end at which pytest is stopped, so that what it did can be told
SHOWN = 8
WORKERS = 10
PATIENCE = 60  # seconds for one test, where pytest-timeout is installed
TESTS = "TINYRES_GPU_TESTS"  # the variable that names the tests of the part `again`
# A line of `pytest -v`: the test and how it ended; or of a worker: how a test ended, and which.
LINE = re.compile(
    r"^(?:\[gw\d+\] \[ *\d+%\] (?P<how>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (?P<test>\S+::.*?)"
    r"|(?P<first>\S+::.*?) (?P<then>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)(?:[ \t].*)?)[ \t\r]*$",
    re.MULTILINE,
)
UNREADABLE = re.compile(r"^ERROR ((?:(?!::)\S)+?)(?: - .*)?$", re.MULTILINE)  # a file, not a test
SLOW, ON_GPU = "tests/device/test_table.py", "tests/kernels/cuda/test_gpu.py"
SMALL = "some_size and float32 and tails"  # convolutions that a checker, 10 to 100 times as slow, can run


class Choice(NamedTuple):
    """Which tests (of all files, where none is named), and what looks on: a tool of compute-sanitizer's, or nothing."""

    arguments: Sequence[str]
    tool: str = ""
    file: str = ""


CHOICES = {
    "suite": Choice(("--ignore", SLOW)),
    "table": Choice((), file=SLOW),
    "memcheck": Choice(("-k", SMALL), "memcheck", ON_GPU),
    "racecheck": Choice(("-k", SMALL), "racecheck", ON_GPU),
}


def rows(rounds: int, part: str = "suite") -> Iterator[Row]:
    root = Path(tinyres.__file__).parents[1]
    name = f"pytest -m gpu ({part})"
    if not (root / "tests").is_dir() or importlib.util.find_spec("pytest") is None:
        why = "pytest is missing" if (root / "tests").is_dir() else "the tests lie in the repository only"
        yield {"name": name, "error": f"not run: {why}"}
        return
    choice = CHOICES.get(part) or Choice(("-k", named()))
    arguments = ["-m", "gpu", *([choice.file] if choice.file else files(root)), *choice.arguments]
    if choice.tool:
        yield attempt(name, lambda: checked(choice.tool, *pytest(root, arguments, PARTS[part].seconds - MARGIN,
                                                                 sanitizer(choice.tool))))  # fmt: skip
    else:
        # Whichever part ran them, all are tests of the suite: a later run of a test replaces an earlier one.
        yield {"part": "suite", **tell(*pytest(root, arguments, PARTS[part].seconds - MARGIN)), "name": name}


def files(root: Path) -> list[str]:
    """What may hold tests on a GPU. Beside them in tests/kernels/cuda lie those of compilers and the simulator, which
    import what such a machine may not have."""
    marked = [path for path in (root / "tests/kernels/cuda").glob("test_*.py") if "mark.gpu" in path.read_text()]
    return ["tests/device", *sorted(str(path.relative_to(root)) for path in marked)]


def named() -> str:
    """What `--tests` asked for."""
    return os.environ.get(TESTS) or "no tests were named"


def sanitizer(tool: str) -> list[str]:
    """The beginning of a command that one of compute-sanitizer's tools looks on. Raises FileNotFoundError."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    found = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), f"{home}/bin"]))
    if found is None:
        raise FileNotFoundError(f"{tool} needs compute-sanitizer, which is neither on PATH nor in {home}/bin")
    return [found, "--tool", tool, "--error-exitcode", "9"]


def pytest(root: Path, arguments: Sequence[str], seconds: float, before: Sequence[str] = ()) -> tuple[str, str | None]:
    """What pytest printed, and why it was stopped, if it was."""
    workers = min(WORKERS, os.cpu_count() or 1)
    command = [
        *before, sys.executable, "-m", "pytest", "-o", "addopts=--import-mode=importlib", "-v", "--tb=short",
        "-W", "default", "--continue-on-collection-errors", "-p", "no:cacheprovider", *arguments,
    ]  # fmt: skip
    if importlib.util.find_spec("pytest_timeout") is not None:
        command += ["--timeout", str(PATIENCE)]
    if importlib.util.find_spec("xdist") is not None and not before:  # a checker looks at one process
        command += ["-n", str(workers), "--dist", "worksteal"]
    # Numba warns of small grids: tests are small on purpose.
    environment = children.environment(NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS="0", PYTHONUNBUFFERED="1")
    try:
        done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds, check=False)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        return (late.output or b"").decode(errors="replace"), f"stopped after {seconds:.0f} s"
    text = done.stdout.decode(errors="replace")
    return text, None if done.returncode in (0, 1) else f"pytest ended with {done.returncode}: {text[-300:].strip()}"


def tell(text: str, stopped: str | None) -> Row:
    """How each test ended, counts, the tests that failed first, and the end of the output where any did."""
    outcomes = {m["test"] or m["first"]: (m["how"] or m["then"]).lower() for m in LINE.finditer(text)}
    outcomes |= dict.fromkeys(UNREADABLE.findall(text), "error")
    failed = [test for test, how in outcomes.items() if how in ("failed", "error")]
    row: Row = {"name": "pytest -m gpu", "outcomes": outcomes, "counts": dict(Counter(outcomes.values())),
                "failed": len(failed), "first": failed[:SHOWN]}  # fmt: skip
    if failed:
        row["reasons"] = re.findall(r"^(?:FAILED|ERROR) .*", text, re.MULTILINE)[:SHOWN]
    return row | ({"error": stopped} if stopped else {})


def checked(tool: str, text: str, stopped: str | None) -> Row:
    """What a checker found while the tests ran. Raises RuntimeError where it did not come to its summary."""
    summary = re.search(r"^=+ (?:ERROR|RACECHECK) SUMMARY: (\d+) (?:errors?|hazards?).*$", text, re.MULTILINE)
    if summary is None:
        raise RuntimeError(stopped or f"{tool} gave no summary: {text[-300:].strip()}")
    told = tell(text, None)
    found = [line.lstrip("= ") for line in re.findall(r"^=+ (?:Invalid|Error|Warning|Race|Misaligned).*$", text, re.M)]
    return {"tool": tool, "faults": int(summary[1]), "counts": told["counts"], "found": found[:SHOWN]}
