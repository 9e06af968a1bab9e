"""Which elements of a result are wrong, drawn in characters."""

from collections.abc import Iterator
from typing import NamedTuple

from numpy import ndindex

from tinyres_kernels.conformance.declare import Arg
from tinyres_kernels.conformance.examine import NAN, RIGHT, WRONG, Finding
from tinyres_kernels.namespace import Array

GRIDS, ROWS, COLUMNS = 4, 20, 40  # more is not read
LEGEND = f"{RIGHT} right   {WRONG} wrong   {NAN} not a number where one is needed, or never written"


def picture(finding: Finding, grids: int = GRIDS, rows: int = ROWS) -> str:
    """A grid for each image and channel that has something wrong, for each array that has; empty if none has.

    The arrays are the results, and inputs that were written to. Of one array at most so many grids are drawn, and of a
    grid at most so many rows.
    """
    drawn: list[str] = []
    for arg in [*finding.case.writes, *finding.case.reads]:
        if arg.name in finding.marks:
            drawn += _drawn(list(parts(finding, arg)), grids, rows)
    return "\n".join([LEGEND, *drawn]) if drawn else ""


class Grid(NamedTuple):
    """Marks in rows and columns; which part of the array they are, and what rows and columns are called."""

    title: str
    rows: str
    columns: str
    marks: Array


def parts(finding: Finding, arg: Arg) -> Iterator[Grid]:
    """The parts of an array that have something wrong.

    Rows and columns are the axes of an image or of a kernel (h and w); where there are none, the last two.
    """
    axes, marks = list(finding.case.axes(arg)), finding.marks[arg.name]
    down = next((i for i, axis in enumerate(axes) if axis.endswith("h")), max(0, len(axes) - 2))
    across = next((i for i, axis in enumerate(axes) if axis.endswith("w")), len(axes) - 1)
    rest = [i for i in range(len(axes)) if i not in (down, across)]
    for place in ndindex(*(marks.shape[i] for i in rest)):
        where = dict(zip(rest, place, strict=True))
        grid = marks[tuple(where.get(i, slice(None)) for i in range(len(axes)))]
        if (grid != RIGHT).any():
            label = ", ".join(f"{axis}={where[i]}" if i in where else ":" for i, axis in enumerate(axes))
            rows = axes[down] if down != across else ""
            yield Grid(f"{arg.name}[{label}]", rows, axes[across], grid.reshape(marks.shape[down] if rows else 1, -1))


def _drawn(bad: list[Grid], most: int, height: int) -> Iterator[str]:
    for title, rows, columns, grid in bad[:most]:
        yield f"{title}    rows: {rows}, columns: {columns}" if rows else title
        yield from _rows(grid, height)
    if len(bad) > most:
        yield f"... and {len(bad) - most} more such grids with something wrong"


def _rows(grid: Array, height: int) -> Iterator[str]:
    """The rows with their numbers, under those of the columns; of a large grid, those around what is wrong."""
    rows, columns = grid.shape
    wrong = (grid != RIGHT).nonzero()
    top, left = _start(wrong[0], height, rows), _start(wrong[1], COLUMNS, columns)
    cut = f"  ({left} to {left + COLUMNS - 1} of {columns})" if columns > COLUMNS else ""
    shown = range(left, min(columns, left + COLUMNS))
    if shown[-1] > 9:
        yield ("     " + " ".join(str(i // 10 % 10) if i % 10 == 0 and i else " " for i in shown)).rstrip()
    yield "     " + " ".join(str(i % 10) for i in shown) + cut
    for i, row in enumerate(grid[top : top + height], top):
        yield f"{i:4} " + " ".join(row[left : left + COLUMNS])
    if rows > height:
        yield f"     (rows {top} to {top + height - 1} of {rows})"


def _start(wrong: Array, shown: int, size: int) -> int:
    """Where to begin to show something wrong: at 0 if that will do, or two elements before the first wrong one."""
    first = int(wrong.min())
    return 0 if first < shown else min(first - 2, size - shown)
