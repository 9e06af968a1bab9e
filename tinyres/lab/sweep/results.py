"""The table of a sweep: one CSV, a row a finished point.

A row is appended whole and forced to the disk before the next one is awaited, so a sweep that is killed loses at most
what was in flight; a line that the kill tore is dropped when the file is opened again. The last cell of a row is a hash
of all the others: a figure that was edited or damaged is not read as one that was measured.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from tinyres.files import write
from tinyres.lab.sweep.point import Finding
from tinyres.lock import FolderLock, FolderTaken
from tinyres.training.recipe import FIELDS, Recipe

VERSION = "2"
FOUND = {field.name: field.type for field in fields(Finding)}
COLUMNS = ("key", *FIELDS, *FOUND, "check")


class ResultsError(ValueError):
    """A file that is no table of this kind of sweep, or one that another run is writing."""


class Results:
    """Finished points by recipe, in memory and in a CSV; a context manager.

        with Results(folder / "sweep.csv") as results:
            if recipe not in results:
                results.add(recipe, measure(recipe))

    Raises:
        ResultsError: the file holds something else, is damaged, or another run writes into its folder.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._lock = FolderLock(path.parent)
        except FolderTaken as error:
            raise ResultsError(str(error)) from error
        try:
            self._rows = _read(path)
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115  __exit__ closes it
            if not self._file.tell():
                self._append(_line(COLUMNS))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Results:
        return self

    @property
    def guarded(self) -> bool:
        """Whether other runs are kept out of the folder, see `FolderLock.held`."""
        return self._lock.held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.close()

    def __contains__(self, recipe: Recipe) -> bool:
        return key(recipe) in self._rows

    def __getitem__(self, recipe: Recipe) -> Finding:
        return _finding(self._rows[key(recipe)])

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, recipe: Recipe, finding: Finding) -> None:
        """Append the row; when this returns, it is on the disk.

        Raises:
            OSError: the disk is full or fails; the table is as it was.
        """
        row = _row(recipe, finding)
        before = self._size()
        self._append(_line(row))
        self._rows[row[0]] = row  # before the wait for the disk, during which Ctrl-C is likely
        try:
            os.fsync(self._file.fileno())
        except OSError:
            del self._rows[row[0]]
            os.ftruncate(self._file.fileno(), before)
            raise

    def _append(self, line: bytes) -> None:
        """All of it or nothing: of a line for which the disk has no room, it takes a part without a word."""
        before, rest = self._size(), memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]  # behind a part comes the error that tells why
        except BaseException:  # a KeyboardInterrupt too
            os.ftruncate(self._file.fileno(), before)
            raise

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def sort(self, recipes: Iterable[Recipe]) -> None:
        """Write the file anew, all of it or nothing, in the order of `recipes`, then what else it holds."""
        keys = [key(recipe) for recipe in recipes]
        self._rows = {k: self._rows[k] for k in dict.fromkeys([*keys, *self._rows]) if k in self._rows}
        self._file.close()  # not every system replaces an open file
        try:
            write(self.path, b"".join(map(_line, [COLUMNS, *self._rows.values()])))
        finally:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115


def key(recipe: Recipe) -> str:
    """What names a point in the file: the version of its columns, and a hash of the recipe's texts."""
    return _key(_texts(recipe.to_json()))


def _key(texts: Iterable[str]) -> str:
    return f"{VERSION}-{_hash(texts)}"


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256(_line(texts)).hexdigest()[:20]


def _row(recipe: Recipe, finding: Finding) -> list[str]:
    cells = [key(recipe), *_texts(recipe.to_json()), *_texts(asdict(finding))]
    return [*cells, _hash(cells)]


def _finding(row: list[str]) -> Finding:
    read = {"str": str, "int": int, "float": float}
    return Finding(**{name: read[str(FOUND[name])](row[COLUMNS.index(name)]) for name in FOUND})


def _texts(values: dict[str, Any]) -> list[str]:
    """Floats so that they are read back exactly; nothing for None."""
    return ["" if value is None else str(value) for value in values.values()]


def _line(row: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _read(path: Path) -> dict[str, list[str]]:
    """{key: row}; a last line that is torn is cut off the file, once the others were found whole.

    A byte order mark, CRLF and quotes, which a spreadsheet adds when it saves the file, change no cell and are taken.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    first, ended, rest = content.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    if not (_cells(first) == [*COLUMNS] if ended else _line(COLUMNS).startswith(first.rstrip(b"\r"))):
        raise ResultsError(
            f"{path} is no table of such a sweep, or one of another version of tinyres (its columns are others): "
            "move it away, or name another folder"
        )
    rows: dict[str, list[str]] = {}
    *lines, torn = rest.split(b"\n") if ended else [content]
    for number, line in enumerate(lines, 2):
        row = _cells(line)
        if not _whole(row):
            raise ResultsError(
                f"{path}, line {number} is damaged, edited or of another version (its key or its check does not fit "
                "its values): take the line out, and its point runs again"
            )
        rows.setdefault(row[0], row)
    if torn:
        os.truncate(path, len(content) - len(torn))
    return rows


def _cells(line: bytes) -> list[str]:
    """The cells of one line; none where it is no line of a CSV."""
    try:
        return next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except (csv.Error, ValueError):  # an open quote, a NUL, a cell without end; no UTF-8
        return []


def _whole(row: list[str]) -> bool:
    """Whether a row is one that `_row` made."""
    if len(row) != len(COLUMNS) or row[0] != _key(row[1 : 1 + len(FIELDS)]) or row[-1] != _hash(row[:-1]):
        return False
    try:
        _finding(row)
    except ValueError:
        return False
    return True
