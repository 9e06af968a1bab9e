"""The numbers of a drawn figure, in tables: for those who do not see it. They are kept in the PNG file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array

# Of a table. Of more points or pixels it has some, evenly spaced, with the first and the last.
ROWS, COLUMNS, LINES = 30, 6, 12
MOST = 120  # tables that are read from a file

Series = tuple[str, Array, Array]  # what it is called, x, y


def numbers(figure: Any) -> list[dict[str, Any]]:
    """A table for the lines of each panel that share their x, and one for each map: title, columns and rows of text."""
    return [table for axes in figure.axes for table in _tables(axes)]


def numbers_of(png: bytes) -> list[dict[str, Any]]:
    """The tables that `numbers` has left in a PNG file; none if there are none, or no such tables."""
    from PIL import Image

    try:
        with Image.open(BytesIO(png), formats=["PNG"]) as picture:
            found = json.loads(picture.info.get("Numbers", "[]"))
        tables = [
            {
                "title": str(t["title"]),
                "columns": [*map(str, t["columns"])],
                "rows": [[*map(str, r)] for r in t["rows"]],
            }
            for t in found[:MOST]
        ]
        return tables if all(len(row) == len(t["columns"]) for t in tables for row in t["rows"]) else []
    except Exception:  # a damaged file may raise anything
        return []


def series(axes: Any) -> list[Series]:
    """The lines, rows of dots and bars of a panel that lie in its coordinates, as far as they are finite.

    What has a label is called so. A label that begins with "_" stands in no legend, but here. A line without one is
    said to have the colour of one that has.
    """
    labels = {part: box.get_label() for box in axes.containers for part in box.get_children()}
    drawn = [(line, str(labels.get(line) or line.get_label())) for line in axes.lines]
    colours = {_colour(line): label for line, label in drawn if not label.startswith("_")}
    found: list[Series] = []
    for k, (line, label) in enumerate(drawn):
        x, y = map(_filled, line.get_data())
        seen = np.isfinite(x) & np.isfinite(y)
        if line.get_transform() != axes.transData or not seen.any():
            continue
        kind = "dots" if line.get_linestyle() == "None" else "line"
        if re.fullmatch(r"_(child|line)\d+|_nolegend_", label):
            alike = colours.get(_colour(line))
            label = f"{kind} {k + 1}" if alike is None else f"{kind} coloured as “{alike}”"
        name = plainly(label.removeprefix("_"))
        if seen.sum() == 1 and (one := next((each for each in found if each[0] == name), None)):  # dots drawn singly
            found[found.index(one)] = (name, np.r_[one[1], x[seen]], np.r_[one[2], y[seen]])
        else:
            found.append((name, x[seen], y[seen]))
    for box in axes.containers:
        bars = [bar for bar in getattr(box, "patches", ()) if np.isfinite(bar.get_height())]
        if bars and getattr(box, "orientation", "") == "vertical":
            name = "bars" if str(box.get_label()).startswith("_") else plainly(str(box.get_label()))
            x = np.array([bar.get_x() + bar.get_width() / 2 for bar in bars])
            found.append((name, x, np.array([bar.get_height() for bar in bars])))
    return found


def is_cloud(x: Array) -> bool:
    """Whether points go to and fro, and so are no function of x."""
    steps = np.diff(x)
    return bool((steps < 0).any() and (steps > 0).any())


def plainly(text: str) -> str:
    """On one line, without the marks of a formula."""
    return " ".join(text.replace("$", "").split())


def _tables(axes: Any) -> Iterator[dict[str, Any]]:
    if not axes.axison or axes.get_label() == "<colorbar>":
        return
    title, across, up = (plainly(text) for text in (axes.get_title(), _label(axes, "x"), _label(axes, "y")))
    groups: list[list[Series]] = []
    for each in series(axes):
        if is_cloud(each[1]):
            continue
        alike = (group for group in groups if np.array_equal(group[0][1], each[1]) and len(group) < LINES)
        if (group := next(alike, None)) is None:
            groups.append(group := [])
        group.append(each)
    for group in groups:
        x = group[0][1]
        rows = [[f"{x[i]:.6g}", *(f"{y[i]:.4g}" for _, _, y in group)] for i in _some(len(x), ROWS)]
        yield _table((title, up), across or "x", [name for name, _, _ in group], rows)
    for image in axes.images if len(axes.get_xticks()) else ():
        if np.ndim(image.get_array()) == 2:
            yield _map(image, title, across, up)


def _map(image: Any, title: str, across: str, up: str) -> dict[str, Any]:
    values = _filled(image.get_array())
    left, right, bottom, top = image.get_extent()
    if image.origin == "upper":
        bottom, top = top, bottom
    height, width = values.shape
    x = left + (np.arange(width) + 0.5) * (right - left) / width
    y = bottom + (np.arange(height) + 0.5) * (top - bottom) / height
    columns = _some(width, COLUMNS)
    bar = getattr(image.colorbar, "ax", None)
    what = plainly(bar.get_ylabel() or bar.get_xlabel()) if bar is not None else ""
    rows = [[f"{y[i]:.4g}", *(f"{values[i, j]:.4g}" for j in columns)] for i in _some(height, ROWS)]
    return _table((title, what), up or "y", [f"{across or 'x'} {x[j]:.4g}" for j in columns], rows)


def _table(title: tuple[str, str], first: str, columns: list[str], rows: list[list[str]]) -> dict[str, Any]:
    return {"title": ": ".join(filter(None, title)), "columns": [first, *columns], "rows": rows}


def _some(count: int, most: int) -> list[int]:
    return list(range(count)) if count <= most else [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _label(axes: Any, name: str) -> str:
    """Of the axis; where panels share one, or one above the other have the same range, of the panel that has it."""
    alike = [axes, *getattr(axes, f"get_shared_{name}_axes")().get_siblings(axes)]
    if name == "x" and (spec := axes.get_subplotspec()) is not None:
        others = [other for other in axes.figure.axes if other.get_subplotspec() is not None]
        below = [other for other in others if other.get_subplotspec().colspan == spec.colspan]
        alike += [other for other in below if np.allclose(other.get_xlim(), axes.get_xlim())]
    return next((text for each in alike if (text := getattr(each, f"get_{name}label")())), "")


def _filled(values: Any) -> Array:
    """With NaN where something is masked."""
    found: Array = np.ma.filled(np.ma.asarray(values, dtype="float64"), np.nan)
    return found


def _colour(line: Any) -> Any:
    from matplotlib.colors import to_rgb

    return to_rgb(line.get_color())
