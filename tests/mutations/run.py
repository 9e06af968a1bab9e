"""Runs tests in a checkout with a fault in it, and says whether they noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tests.mutations.faults import BY_NAME, Fault, planted

LIMIT, COMPILING = 300, 1800  # seconds, for a fault; and for one whose family compiles all kernels anew
UNMUTATED = 900, 30  # for all the tests without a fault: their kernels' compilation, and each test


class Found(NamedTuple):
    """What came of a fault. verdict: "noticed", "NOT NOTICED" or "broken" (the fault, or its test, is no good)."""

    verdict: str
    test: str
    how: str
    seconds: float


class Ran(NamedTuple):
    """A run of pytest.

    Attributes:
        status: its exit status; None where it ran past the limit.
        reports: see `witness.py`.
        said: the last error that it printed.
    """

    status: int | None
    reports: list[dict[str, Any]]
    said: str

    def of(self, test: str) -> list[dict[str, Any]]:
        """The reports of one test, or of all in a file or folder."""
        inside = f"{test}[", f"{test}::", f"{test}/"
        return [seen for seen in self.reports if seen["test"] == test or seen["test"].startswith(inside)]


def unsound(tests: Iterable[str]) -> dict[str, str]:
    """What is wrong with these tests where nothing is: each has to run, and pass, without PyTorch."""
    tests = sorted(set(tests))
    with planted(None) as tree:
        ran = pytest(tree, tests, UNMUTATED[0] + len(tests) * UNMUTATED[1])
    found = {}
    for test in tests:
        calls = [seen for seen in ran.of(test) if seen["when"] == "call"]
        bad = next((seen for seen in ran.of(test) if seen["outcome"] == "failed"), None)
        if bad is not None:
            found[test] = f"fails without any fault: {bad['line']}"
        elif not any(seen["outcome"] == "passed" for seen in calls):
            said = ran.said if ran.status is not None else "all of them together ran past the limit"
            found[test] = f"does not run here, or not without PyTorch; {said}"
    return found


def judge(fault: Fault) -> Found:
    """Plant it and run its tests, which pass without it."""
    start = time.perf_counter()
    with planted(fault) as tree:
        ran = pytest(tree, fault.tests, COMPILING if fault.family in BY_NAME else LIMIT, "-x")
    return Found(*verdict(fault, ran), time.perf_counter() - start)


def verdict(fault: Fault, ran: Ran) -> tuple[str, str, str]:
    """A fault is noticed by a failed assertion, or by the error that it names, inside a test.

    What cannot even be imported, or ends in an error that nobody foresaw, says nothing about the test.
    """
    bad = next((seen for seen in ran.reports if seen["outcome"] == "failed"), None)
    if ran.status is None:
        return "broken", "", "the test ran past its limit"
    if ran.status == 0 and bad is None:
        return "NOT NOTICED", "", f"passes: {', '.join(fault.tests)}"
    if ran.status != 1 or bad is None:
        return "broken", "", f"pytest ended with status {ran.status}; {ran.said}"
    if bad["when"] != "call":
        return "broken", bad["test"], f"failed in {bad['when']}: {bad['line']}"
    if bad["error"] == fault.error or (not fault.error and bad["asserted"]):
        return "noticed", bad["test"], bad["line"]
    return "broken", bad["test"], f"ended with {bad['error']}, not with {fault.error or 'an assertion'}: {bad['line']}"


def pytest(tree: Path, tests: Iterable[str], limit: float, *options: str) -> Ran:
    """Run tests of a checkout in a process of their own, without PyTorch."""
    with TemporaryDirectory(prefix="tinyres-report-") as folder:
        report = Path(folder) / "report.jsonl"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        environment |= {
            "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "kernels")]),
            "PYTHONDONTWRITEBYTECODE": "1",  # which would name files of the copy
            "WITNESS": str(report),
        }
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.mutations.witness", "-m", ""]
        try:
            ran = subprocess.run(
                [*command, *options, *tests], cwd=tree, env=environment, capture_output=True, text=True, timeout=limit
            )
            status, output = ran.returncode, ran.stdout + ran.stderr
        except subprocess.TimeoutExpired:
            status, output = None, ""
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
        said = next((line for start in ("E  ", "ERROR") for line in starting(start, output)), "")
        return Ran(status, [json.loads(line) for line in lines], said)


def starting(start: str, output: str) -> list[str]:
    """The lines that begin so, the last one first."""
    return [line.removeprefix("E  ").strip() for line in output.splitlines()[::-1] if line.startswith(start)]
