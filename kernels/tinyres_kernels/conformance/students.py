"""`check FOLDER --op OP`: the kernels of a class, each checked in a process of its own; a row for everybody.

A file may hang, end its process, be empty or be no Python: it gets a row that says so, and the next one is checked.
"""

from __future__ import annotations

import argparse
import ast
import csv
import inspect
import io
import json
import os
import signal
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from tinyres_kernels import reference
from tinyres_kernels.command_line import could_not
from tinyres_kernels.conformance import export

COLUMNS = ("student", "file", "function", "verdict", "passed", "cases", "kinds", "note", "seconds")
RIGHT, WRONG, SLOW, NONE = "right", "wrong", "too slow", "could not be checked"
MARKS = {0: RIGHT, 1: WRONG}  # by the status of `check`
FORMULA = ("=", "+", "-", "@")  # a spreadsheet would calculate such a cell
STOPPED = 130
# On every machine as many threads: sums are cut alike, and what only threads get wrong shows on each.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "2")
KINDS = ".py", (NOTEBOOK := ".ipynb")
PASSED_ON = ("examples", "seed", "dtype", "layout", "arrays", "limit")


def check_folder(given: argparse.Namespace) -> int:
    """Check everybody, print a line for each and write the files that were asked for. Returns 0 where all are right."""
    folder, _, function = given.kernel.partition(":")
    files = students(Path(folder))
    if not files:
        return could_not(f"{folder} holds no student: needed are FOLDER/name.py or FOLDER/name/file.py")
    rows: list[dict[str, Any]] = []
    suites = ElementTree.Element("testsuites")
    status = 0
    text = sys.stderr if export.STANDARD_OUTPUT in (given.csv, given.json, given.junit) else sys.stdout
    try:
        for student, file in files:
            row, suite = one(student, file, function, given)
            rows.append(row)
            suites.append(suite)
            print(line(row), file=text, flush=True)
    except KeyboardInterrupt:
        status = STOPPED
        print(f"tinyres_kernels: stopped; {len(rows)} of {len(files)} students were checked", file=sys.stderr)
    try:
        _write(rows, suites, given)
    except OSError as error:
        return could_not(str(error))
    right = sum(row["verdict"] == RIGHT for row in rows)
    print(f"{right} of {len(rows)} right, as {given.op}", file=text)
    return status or int(right < len(rows))


def students(folder: Path) -> list[tuple[str, Path]]:
    """Everybody's name and file: of FOLDER/name.py, and of each file in FOLDER/name; a notebook gets a row as well."""
    found = [(file.stem, file) for kind in KINDS for file in folder.glob(f"*{kind}")]
    found += [(file.parent.name, file) for kind in KINDS for file in folder.glob(f"*/*{kind}")]
    return sorted(one for one in found if one[1].is_file() and not any(part[0] in "._" for part in one[1].parts[-2:]))


def one(student: str, file: Path, function: str, given: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    """The row of a student, and the suite of tests for JUnit."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"student": student, "file": str(file), "passed": 0, "cases": 0}
    began = time.monotonic()
    try:
        row["function"] = function or named(file, given.op)
        told, suite = _checked(f"{file}:{row['function']}", given)
        row |= told
    except ValueError as error:
        row |= {"verdict": NONE, "note": str(error)}
        suite = export.failed_suite(str(file), given.op, str(error))
    suite.set("name", f"{student}: {suite.get('name')}")
    return row | {"seconds": round(time.monotonic() - began, 1)}, suite


def named(file: Path, op: str) -> str:
    """The function of a file that is the kernel, without running it: it is called as the operation, or fits it alone.

    Raises ValueError where there is none, or where several fit.
    """
    if file.suffix == NOTEBOOK:
        raise ValueError(
            f"{file.name} is a notebook: `jupyter nbconvert --to script {file.name}` makes a .py file of it"
        )
    try:
        with tokenize.open(file) as source:  # in the encoding that Python reads it in
            tree = ast.parse(source.read(), str(file))
    except (SyntaxError, ValueError) as error:
        at = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ValueError(f"{file.name} is not Python: {getattr(error, 'msg', error)}{at}") from None
    if not tree.body:
        raise ValueError(f"{file.name} is empty")
    made = dict(_made(tree))
    if op in made:
        return op
    needed = len(inspect.signature(getattr(reference, op)).parameters)
    fit = [name for name, count in made.items() if count == needed and not name.startswith("_")]
    if len(fit) == 1:
        return fit[0]
    if fit:
        raise ValueError(f"{file.name} has {len(fit)} functions that fit, {' and '.join(fit)}: one must be called {op}")
    there = ", ".join(made) or "no function"
    raise ValueError(f"{file.name} has no function {op}, and none of {needed} arguments: it has {there}")


def _made(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The names that a module makes, each with how many arguments it takes; -1 where it does not say."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, len(node.args.posonlyargs) + len(node.args.args)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            yield from ((alias.asname or alias.name, -1) for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from ((target.id, -1) for target in node.targets if isinstance(target, ast.Name))


def _checked(place: str, given: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    """`check` of one kernel. Raises ValueError, saying how it came to nothing."""
    with TemporaryDirectory() as folder:
        told, suites = Path(folder, "told.json"), Path(folder, "told.xml")
        options = [f"--{name}={getattr(given, name)}" for name in PASSED_ON if getattr(given, name) != ""]
        guard = [] if given.guard is None else ["--guard" if given.guard else "--no-guard"]
        command = ["check", place, f"--op={given.op}", *options, *guard, f"--json={told}", f"--junit={suites}"]
        status, said = _run([sys.executable, "-m", "tinyres_kernels", *command], given.each)
        if status is None:
            raise ValueError(f"it was stopped after {given.each:g} s in all (--each)")
        if not told.exists() or not suites.exists():
            last = (said.strip().splitlines() or ["it left no report"])[-1]
            raise ValueError(last.removeprefix("tinyres_kernels: "))
        report = json.loads(told.read_text("utf-8"))
        suite = ElementTree.parse(suites).getroot()[0]
    if "error" in report:
        raise ValueError(report["error"])
    row = {key: report[key] for key in ("passed", "cases")}
    row["kinds"] = "; ".join(kind["name"] for kind in report["kinds"])
    row["note"] = report["contract_broken"] or ""
    slow = status == 1 and report["too_slow"]
    return row | {"verdict": SLOW if slow else MARKS.get(status, NONE), "report": report}, suite


def _run(command: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run it, with all processes that it starts; None for a status where it takes longer."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="replace", env=THREADS | os.environ, start_new_session=True,
    )  # fmt: skip
    try:
        said = process.communicate(timeout=seconds)[1]
        return process.returncode, said
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        with suppress(OSError, AttributeError):  # its children, too; Windows has no groups
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def line(row: dict[str, Any]) -> str:
    """A student, in one line of text."""
    why = row["note"] or row["kinds"]
    counted = f" ({row['passed']} of {row['cases']} cases)" if row["cases"] else ""
    return f"{row['student']}: {row['verdict']}{counted}{f': {why}' if why else ''}"


def _write(rows: Sequence[dict[str, Any]], suites: ElementTree.Element, given: argparse.Namespace) -> None:
    if given.csv:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_cell(row[key]) for key in COLUMNS] for row in rows)
        export.write(given.csv, table.getvalue().encode("utf-8", "replace"))
    if given.json:
        export.write_object({"op": given.op, "students": list(rows)}, given.json)
    if given.junit:
        export.write_tree(suites, given.junit)


def _cell(value: Any) -> Any:
    return f"'{value}" if str(value).startswith(FORMULA) else value
