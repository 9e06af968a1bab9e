"""A pytest plugin: hides PyTorch from the tests, and writes down how each of them ended.

It is loaded by `run.py` with `-p`, in a process of its own. The report goes to the file that WITNESS names, a line of
JSON for each phase of each test.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest

from tinyres.gradcheck import GradcheckError

ASSERTIONS = AssertionError, pytest.fail.Exception, GradcheckError


class NoTorch:
    """Refuses to find PyTorch. (A None among the modules would do, too, but SciPy looks there and trips over it.)"""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> None:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"{name} is hidden from tests that planted faults are held against", name=name)


sys.meta_path.insert(0, NoTorch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    seen = {"test": item.nodeid, "when": call.when, "outcome": report.outcome}
    if call.excinfo is not None:
        error = call.excinfo.value
        seen |= {"error": type(error).__name__, "asserted": asserted(error), "line": first_line(error)}
    with open(os.environ["WITNESS"], "a", encoding="utf-8") as file:
        file.write(json.dumps(seen) + "\n")
    return report


def asserted(error: BaseException) -> bool:
    """Whether a test failed because something was not as it should be; Hypothesis raises several such in a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(asserted(one) for one in error.exceptions)
    return isinstance(error, ASSERTIONS)


def first_line(error: BaseException) -> str:
    """What the error says first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
