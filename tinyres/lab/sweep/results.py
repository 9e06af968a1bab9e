"""Sweep results in a CSV file, one row per finished point.

Each row is appended whole and synced to disk at once, so a sweep that is killed loses only the points in flight; an
incomplete last line is dropped when the file is opened again. The last cell of a row is a hash of the others, so that
an edited or damaged number is not mistaken for a measurement.
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
    """The file is not a sweep's table, is damaged, or is being written by another run."""


class Results:
    """Finished points by recipe, in memory and in a CSV file; a context manager.

        with Results(folder / "sweep.csv") as results:
            if recipe not in results:
                results.add(recipe, measure(recipe))

    Raises:
        ResultsError: the file is something else, is damaged, or another run is writing into its folder.
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
        """Whether the folder is locked against other runs, see `FolderLock.held`."""
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
        """Append a row and sync it to disk.

        Raises:
            OSError: the disk is full or fails; the table is unchanged.
        """
        row = _row(recipe, finding)
        before = self._size()
        self._append(_line(row))
        self._rows[row[0]] = row  # before fsync, during which Ctrl-C is likely
        try:
            os.fsync(self._file.fileno())
        except OSError:
            del self._rows[row[0]]
            os.ftruncate(self._file.fileno(), before)
            raise

    def _append(self, line: bytes) -> None:
        """Append all of the line or nothing: a full disk silently writes only a part of it."""
        before, rest = self._size(), memoryview(line)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]  # after a partial write the next call raises the error
        except BaseException:  # KeyboardInterrupt too
            os.ftruncate(self._file.fileno(), before)
            raise

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def sort(self, recipes: Iterable[Recipe]) -> None:
        """Rewrite the file atomically, in the order of `recipes`, followed by any other rows."""
        keys = [key(recipe) for recipe in recipes]
        self._rows = {k: self._rows[k] for k in dict.fromkeys([*keys, *self._rows]) if k in self._rows}
        self._file.close()  # not every system replaces an open file
        try:
            write(self.path, b"".join(map(_line, [COLUMNS, *self._rows.values()])))
        finally:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115


def key(recipe: Recipe) -> str:
    """The key of a point in the file: the version of the columns and a hash of the recipe."""
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
    """Values as text: floats round-trip exactly, None is empty."""
    return ["" if value is None else str(value) for value in values.values()]


def _line(row: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue().encode()


def _read(path: Path) -> dict[str, list[str]]:
    """Read {key: row}; an incomplete last line is cut off the file, once all others have been checked.

    A byte order mark, CRLF and quotes, which a spreadsheet adds when saving, are accepted: they change no cell.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    first, ended, rest = content.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    if not (_cells(first) == [*COLUMNS] if ended else _line(COLUMNS).startswith(first.rstrip(b"\r"))):
        raise ResultsError(
            f"{path} is not a sweep's table, or was written by another version of tinyres (its columns differ): "
            "move it away, or use another folder"
        )
    rows: dict[str, list[str]] = {}
    *lines, torn = rest.split(b"\n") if ended else [content]
    for number, line in enumerate(lines, 2):
        row = _cells(line)
        if not _whole(row):
            raise ResultsError(
                f"{path}, line {number} is damaged, edited or from another version (its key or check does not match "
                "its values): delete the line, and its point will run again"
            )
        rows.setdefault(row[0], row)
    if torn:
        os.truncate(path, len(content) - len(torn))
    return rows


def _cells(line: bytes) -> list[str]:
    """The cells of one line; empty if it is not valid CSV."""
    try:
        return next(csv.reader([line.decode().rstrip("\r")], strict=True), [])
    except (csv.Error, ValueError):  # an unclosed quote, a NUL, an oversized cell; invalid UTF-8
        return []


def _whole(row: list[str]) -> bool:
    """Whether a row is valid, as `_row` writes it."""
    if len(row) != len(COLUMNS) or row[0] != _key(row[1 : 1 + len(FIELDS)]) or row[-1] != _hash(row[:-1]):
        return False
    try:
        _finding(row)
    except ValueError:
        return False
    return True
