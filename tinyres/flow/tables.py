"""A measurement as a table: one row for each point of the axes, one column for each quantity."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array

Axes = Mapping[str, tuple[str, ...]]


def table(
    arrays: Mapping[str, Array], axes: Axes, labels: Mapping[str, Sequence[Any]]
) -> tuple[list[str], list[list[Any]]]:
    """(columns, rows): the axes first, then the quantities. Arrays that share their axes share their rows.

    A cell is None where its row has no such axis, or its quantity does not depend on the row's axes.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in arrays:
        groups.setdefault(tuple(_told_apart(axes[name])), []).append(name)
    places = list(dict.fromkeys(axis for group in groups for axis in group))
    columns = [*places, *arrays]
    rows = []
    for group, names in groups.items():
        shape = arrays[names[0]].shape
        along = [labels.get(axis) or range(length) for axis, length in zip(axes[names[0]], shape, strict=True)]
        for index in np.ndindex(shape):
            cells = {axis: values[i] for axis, values, i in zip(group, along, index, strict=True)}
            cells |= {name: arrays[name][index].item() for name in names}
            rows.append([cells.get(column) for column in columns])
    return columns, rows


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
