"""Which elements of a result are wrong, drawn in characters."""

from collections.abc import Iterator

from numpy import ndindex

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import NAN, RIGHT, WRONG, Finding
from tinyres_kernels.namespace import Array

GRIDS, ROWS, COLUMNS = 4, 20, 40  # more is not read
LEGEND = f"{RIGHT} right   {WRONG} wrong   {NAN} not a number where a number is needed, or never written"


def picture(finding: Finding) -> str:
    """A grid for each image and channel that has something wrong, for each result that has; empty if none has."""
    drawn: list[str] = []
    for arg in finding.case.writes:
        if arg.name in finding.marks:
            drawn += _grids(finding.case, arg.name, list(finding.case.axes(arg)), finding.marks[arg.name])
    return "\n".join([LEGEND, *drawn]) if drawn else ""


def _grids(case: Case, name: str, axes: list[str], marks: Array) -> Iterator[str]:
    """Rows and columns are the axes of an image or of a kernel (h and w); where there are none, the last two."""
    down = next((i for i, axis in enumerate(axes) if axis.endswith("h")), max(0, len(axes) - 2))
    across = next((i for i, axis in enumerate(axes) if axis.endswith("w")), len(axes) - 1)
    rest = [i for i in range(len(axes)) if i not in (down, across)]
    bad = []
    for place in ndindex(*(marks.shape[i] for i in rest)):
        where = dict(zip(rest, place, strict=True))
        grid = marks[tuple(where.get(i, slice(None)) for i in range(len(axes)))]
        if (grid != RIGHT).any():
            label = ", ".join(f"{axis}={where[i]}" if i in where else ":" for i, axis in enumerate(axes))
            bad.append((f"{name}[{label}]", grid.reshape(marks.shape[down] if down != across else 1, -1)))
    for title, grid in bad[:GRIDS]:
        yield f"{title}    rows: {axes[down]}, columns: {axes[across]}" if down != across else title
        yield from _rows(grid)
    if len(bad) > GRIDS:
        yield f"... and {len(bad) - GRIDS} more such grids with something wrong"


def _rows(grid: Array) -> Iterator[str]:
    """The grid's rows with their numbers, under the columns' last digits."""
    rows, columns = grid.shape
    more = f"  (and {columns - COLUMNS} more columns)" if columns > COLUMNS else ""
    yield "     " + " ".join(str(i % 10) for i in range(min(columns, COLUMNS))) + more
    for i, row in enumerate(grid[:ROWS]):
        yield f"{i:4} " + " ".join(row[:COLUMNS])
    if rows > ROWS:
        yield f"     (and {rows - ROWS} more rows)"
