"""A measurement as a table, in the form that a data frame wants: a row is a point, or a single number."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array

Axes = Mapping[str, tuple[str, ...]]


def table(
    arrays: Mapping[str, Array], axes: Axes, labels: Mapping[str, Sequence[Any]]
) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows). Arrays that all share their axes: the axes, then a column for each array.

    Otherwise one number to a row: the name of its array, all the axes, the number. An axis that the array does not have
    is None there.
    """
    own = {name: tuple(_told_apart(axes[name])) for name in arrays}
    places = list(dict.fromkeys(axis for group in own.values() for axis in group))
    if len(set(own.values())) <= 1:
        rows = [
            [*cells.values(), *(array[index].item() for array in arrays.values())]
            for index, cells in _points(next(iter(arrays), ""), arrays, axes, labels)
        ]
        return [*places, *arrays], rows
    rows = [
        [name, *(cells.get(place) for place in places), arrays[name][index].item()]
        for name in arrays
        for index, cells in _points(name, arrays, axes, labels)
    ]
    return ["quantity", *places, "value"], rows


def _points(
    name: str, arrays: Mapping[str, Array], axes: Axes, labels: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Each index of this array, with its place along the axes by name."""
    if name not in arrays:
        return
    shape = arrays[name].shape
    along = [labels.get(axis) or range(length) for axis, length in zip(axes[name], shape, strict=True)]
    for index in np.ndindex(shape):
        places = (values[i] for values, i in zip(along, index, strict=True))
        yield index, dict(zip(_told_apart(axes[name]), places, strict=True))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The table as CSV, with all digits; None is an empty cell."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def frame(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """The table as a pandas DataFrame.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_frame: needs pandas: pip install pandas; to_csv() needs nothing") from error
    return pandas.DataFrame(rows, columns=list(columns))


def _told_apart(axes: tuple[str, ...]) -> list[str]:
    """The axes' names, a second `sample` as `sample 2`."""
    return [name if name not in axes[:k] else f"{name} {axes[: k + 1].count(name)}" for k, name in enumerate(axes)]
