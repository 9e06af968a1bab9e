"""A file of results: a line for each answer that `tr.exercise` checked, and what a class's files say together.

Nothing is written unless a folder was named. The file holds the tutorial's number, the time, right or wrong, and a name
if one was given: never the answer itself.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from os import PathLike
from pathlib import Path

NAME = "tinyres-results.csv"
COLUMNS = ["tutorial", "time", "result", "name"]
MARKS = ",;\t"  # between cells; spreadsheets have their own
VERDICTS = {True: "right", False: "wrong"}


class NotResults(ValueError):
    """The folder has no file of results, or something else is in it."""


@dataclass(frozen=True)
class Try:
    """One answer that was checked."""

    tutorial: str
    time: str  # ISO 8601, local time, to the second
    right: bool
    name: str = ""


def record(folder: str | PathLike[str], number: str, right: bool, name: str = "") -> None:
    """Append a line to the folder's file of results. If that is impossible, warn: the answer has been checked."""
    path = Path(folder) / NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a+b") as file:  # opened for appending: two notebooks do not overwrite each other's lines
            size = file.seek(0, 2)
            file.seek(max(0, size - 1))
            lead = "" if not size or file.read() == b"\n" else "\n"  # the last line was cut off
            head = [COLUMNS] if not size else []
            row = [number, datetime.now().isoformat(timespec="seconds"), VERDICTS[right], name]
            file.write((lead + rows([*head, row])).encode())
    except OSError as error:
        warnings.warn(f"exercise: the result was not written to {path}: {error.strerror or error}", stacklevel=3)


def read(folder: Path) -> tuple[list[Try], list[int]]:
    """The tries in the folder's file, and the numbers of its lines that are none.

    Raises:
        NotResults: there is no such file, it cannot be read, or it is of another kind.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # a spreadsheet may have saved it, with a mark
    except FileNotFoundError as error:
        raise NotResults(
            f"{folder}: there is no {NAME} in it: nothing answered yet, or the tutorials were copied without --results"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise NotResults(f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})") from error
    mark = next((mark for mark in MARKS if lines and lines[0] == mark.join(COLUMNS)), None)
    if mark is None:
        raise NotResults(f"{path}: not written by tr.exercise; its first line must be {','.join(COLUMNS)}")
    tries, foreign = [], []
    for number, line in enumerate(lines[1:], 2):
        found = _try(line, mark)
        if found:
            tries.append(found)
        else:
            foreign.append(number)
    return tries, foreign


def _try(line: str, mark: str) -> Try | None:
    try:
        tutorial, time, result, name = next(csv.reader([line], delimiter=mark, strict=True))
        datetime.fromisoformat(time)
    except (csv.Error, StopIteration, ValueError):
        return None
    known = tutorial.isdigit() and len(tutorial) == 2 and result in VERDICTS.values()
    return Try(tutorial, time, result == VERDICTS[True], name) if known else None


@dataclass(frozen=True)
class Summary:
    """What became of one exercise of one student."""

    student: str
    name: str
    tutorial: str
    tries: int  # as far as the first right one
    right: bool
    first_try: str
    first_right: str

    @property
    def row(self) -> list[str]:
        """As in the table of a class."""
        verdict = VERDICTS[self.right]
        return [self.student, self.name, self.tutorial, verdict, str(self.tries), self.first_try, self.first_right]


SUMMARY = ["student", "name", "tutorial", "result", "tries", "first_try", "first_right"]


def summaries(student: str, tries: Sequence[Try]) -> list[Summary]:
    """One for each tutorial that the student tried, by number; an exercise once right stays right."""
    found = []
    for tutorial in sorted({one.tutorial for one in tries}):
        mine = sorted((one for one in tries if one.tutorial == tutorial), key=lambda one: one.time)
        until = next((k for k, one in enumerate(mine) if one.right), None)
        name = next((one.name for one in reversed(mine) if one.name), "")
        right, last = until is not None, len(mine) if until is None else until + 1
        reached = mine[last - 1].time if right else ""
        found.append(Summary(student, name, tutorial, last, right, mine[0].time, reached))
    return found


def rows(cells: Iterable[Sequence[str]]) -> str:
    """Lines of CSV, one for each row; a line break within a cell becomes a space."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([[" ".join(cell.splitlines()) for cell in row] for row in cells])
    return text.getvalue()
