"""`tinyres tutorials results`: the results of a class, from the files that `tr.exercise` wrote."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, make_room, writing
from tinyres.cli.terminal import printable
from tinyres.exercises.results import NAME, SUMMARY, NotResults, Summary, Try, read, rows, summaries
from tinyres.files import legible, write

ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz")
FORMULA = ("=", "+", "-", "@")  # a spreadsheet would calculate such a cell


def add(parts: Any) -> None:
    """Declare the command."""
    parser = parts.add_parser(
        "results",
        help="collect the results of exercises from many folders",
        description=f"Collect the results of exercises, one folder per student. tr.exercise writes {NAME} only if it "
        'is asked to: tr.exercise(..., results="FOLDER"), or the environment variable TINYRES_EXERCISES. The file '
        "holds the tutorial, the time, right or wrong, and a name if one was given; it does not hold the answer.",
        epilog="Example: tinyres tutorials results class --csv results.csv",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER",
                        help=f"one student's folder, with {NAME} in it, or a class's folder, with a folder for each "
                        "student; the folder's name is the student's")  # fmt: skip
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="also write a row per student and tutorial to this file, even for those not tried (default: none)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a table of the class; name what was skipped."""
    found: list[Summary] = []
    there = [folder for folder in arguments.folders if folder.is_dir()]
    missing = [f"{folder} is not a folder" if folder.exists() else f"no such folder: {folder}"
               for folder in arguments.folders if folder not in there]  # fmt: skip
    if not there:
        raise UsageError("; ".join(missing))
    for line in missing:
        told(line)
    make_room(arguments.csv, "--csv")
    students = students_of(there)
    for folder, student in students.items():
        tries: list[Try] = []
        for place in places(folder):
            try:
                mine, foreign = read(place)
            except NotResults as error:
                told(f"no results of {student}: {error}")
                continue
            if foreign:
                lines = f"line {foreign[0]}" if len(foreign) == 1 else f"lines {', '.join(map(str, foreign))}"
                told(f"skipped {lines} of {place / NAME}: not written by tr.exercise")
            tries += mine
        found += summaries(student, tries)
    if not found:
        told(f"none of {len(students)} folders has results; pass folders with a {NAME}, or a folder of such folders")
    for archive in archives(there):
        told(f"skipped {archive}: unpack it into a folder first")
    for line in table(found, list(students.values())):
        print(printable(line))
    if arguments.csv:
        rest = dict.fromkeys((student, number) for student in students.values() for number in numbers(found))
        for one in found:
            rest.pop((one.student, one.tutorial), None)
        untried = [[student, "", number, "not tried", "0", "", ""] for student, number in rest]
        full = sorted([*(one.row for one in found), *untried], key=lambda row: (row[0], row[2]))
        with writing(arguments.csv):
            write(arguments.csv, rows([SUMMARY, *([plain(cell) for cell in row] for row in full)]))
        print(f"wrote {arguments.csv}")
    return 0


def told(text: str) -> None:
    """A line beside the table, for the person who reads it."""
    print(printable(legible(text)), file=sys.stderr)


def students_of(folders: list[Path]) -> dict[Path, str]:
    """The student of each folder: its name, or the path if two folders have the same name.

    A folder without results of its own that has folders in it is a class's: each of these is a student's.
    """
    paths: dict[Path, None] = {}
    for folder in folders:
        inside = [] if (folder / NAME).exists() else inner(folder)
        paths |= dict.fromkeys(inside or [folder])
    names = {path: path.resolve().name for path in paths}
    twice = {name for name, times in Counter(names.values()).items() if times > 1}
    return {path: str(path) if name in twice else name for path, name in names.items()}


def archives(folders: list[Path]) -> list[Path]:
    """Files among the students' folders that hold a folder, packed."""
    with suppress(OSError):
        return sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() in ARCHIVES)
    return []


def inner(folder: Path) -> list[Path]:
    """The folders in it, by name, without hidden ones; none if it cannot be read."""
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return []


def places(folder: Path) -> list[Path]:
    """The folders with results in a student's folder, at any depth; the folder itself if there are none."""
    return sorted(path.parent for path in folder.rglob(NAME)) or [folder]


def numbers(found: list[Summary]) -> list[str]:
    """The tutorials that somebody tried."""
    return sorted({one.tutorial for one in found})


def table(found: list[Summary], students: list[str]) -> list[str]:
    """Lines: a row per student, a column per tutorial, tries in each cell; and what the cells mean."""
    tutorials = numbers(found)
    cells = {(one.student, one.tutorial): str(one.tries) if one.right else f"({one.tries})" for one in found}
    called = {one.student: f"{one.student} ({one.name})" for one in found if one.name and one.name != one.student}
    width = max(len("student"), *(len(called.get(student, student)) for student in students))
    lines = [f"{'student':{width}} " + "".join(f"{number:>5}" for number in tutorials) + "  right"]
    for student in students:
        mine = [cells.get((student, number), "-") for number in tutorials]
        right = sum(one.right for one in found if one.student == student)
        lines.append(
            f"{called.get(student, student):{width}} " + "".join(f"{cell:>5}" for cell in mine) + f"{right:>7}"
        )
    return [*lines, "", "2: right at the second try; (2): tried twice, not right yet; -: not tried."]


def plain(cell: str) -> str:
    """The cell as text for a spreadsheet, even if it begins like a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
