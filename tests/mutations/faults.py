"""The planted faults: what each changes, and which test must notice.

They stand in the TOML files beside this one, a file a family:

    [[fault]]
    name = "dropout does not scale what it keeps"
    file = "tinyres/nn/dropout.py"
    before = "kept * (1 / (1 - self.p))"
    after = "kept"
    noticed_by = "tests/nn/test_stochastic.py::test_dropout_is_inverted_and_off_in_evaluation"

`noticed_by` is what pytest is to be given (a list, where there are several), or "flow E3" for the verdict of an
experiment. `error` names the exception that the test is to end with, where that is no failed assertion.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FAMILIES = ("ops", "nn", "optim", "gan", "flow", "stream", "runs", "play")
BY_NAME = ("kernels", "conformance")  # run only when asked for: each takes up to a minute, to compile or to search
VERDICT = "tests/mutations/experiment.py::test_every_law_holds"
LEFT_BEHIND = ("node_modules", "*.pytest_cache", ".git", ".venv", ".mypy_cache", ".ruff_cache", ".hypothesis")


class Fault(NamedTuple):
    """A text that stands once in a file, what it becomes, and the tests that must notice."""

    family: str
    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    error: str = ""


def faults(*families: str) -> list[Fault]:
    """All faults of these families, in the order of their files."""
    return [fault for family in families for fault in read(Path(__file__).with_name(f"{family}.toml"))]


def read(path: Path) -> list[Fault]:
    """The faults of one file. Raises TypeError where an entry lacks a key, or has one too many."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [_fault(path.stem, **entry) for entry in entries]


def _fault(family: str, *, noticed_by: str | list[str], **entry: str) -> Fault:
    named = [noticed_by] if isinstance(noticed_by, str) else noticed_by
    tests = tuple(f"{VERDICT}[{test[5:]}]" if test.startswith("flow ") else test for test in named)
    return Fault(family, tests=tests, **entry)


def plant(fault: Fault, tree: Path) -> None:
    """Change the file in a copy. Raises ValueError where the text is not there, or not once."""
    path = tree / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.before) != 1:
        raise ValueError(f"{fault.file} holds this {text.count(fault.before)} times, needed once: {fault.before!r}")
    path.write_text(text.replace(fault.before, fault.after), encoding="utf-8")


@contextmanager
def planted(fault: Fault | None) -> Iterator[Path]:
    """A checkout of its own with the fault in it: the source root that it lies in is copied, the others are linked."""
    with TemporaryDirectory(prefix="tinyres-") as folder:
        tree = Path(folder)
        copied = Path(fault.file).parts[0] if fault else None
        for entry in ROOT.iterdir():
            if entry.name == copied:  # with what is compiled, which Python and Numba hold against the sources
                shutil.copytree(entry, tree / entry.name, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
            elif entry.name not in LEFT_BEHIND:
                (tree / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
        if fault:
            plant(fault, tree)
        yield tree
