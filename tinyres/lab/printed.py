"""Terminal tables of laws and other results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap
from typing import Any

from tinyres.lab.law import Law, Spread

NARROW = 80  # tables should fit into a terminal of this many columns
STYLES = {
    "holds": "green", "agrees": "green", "FAILS": "bold red", "trains": "green", "does not": "bold red", "shown": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table of text and numbers other than laws; `note` explains the columns."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


def figure_text(value: float) -> str:
    """Four significant digits; tiny numbers are not rounded to 0, since a law may be about rounding errors."""
    return f"{value:.4g}"


def wanted(law: Law) -> str:
    """The prediction column: what the measured number must be."""
    if law.kind == "figure":
        return "-"
    if law.kind == "ordering":
        return f"> {figure_text(law.predicted + law.tolerance)}"
    return f"{figure_text(law.predicted)} ± {float(f'{law.tolerance:.2g}'):g}"


def as_text(laws: Sequence[Law], caption: str, tables: Sequence[Table]) -> str:
    """A result without its experiment, as plain text."""
    from rich.console import Console

    stream = StringIO()
    console = Console(file=stream, width=100, color_system=None, emoji=False, highlight=False)
    console.print(laws_table("", laws, caption), *map(plain_table, tables))
    return stream.getvalue().rstrip()


def laws_table(title: str, laws: Sequence[Law], caption: str, least: int = 1) -> Any:
    """A table of measured and predicted with a verdict per row; no verdict if it needs more seeds (`least`)."""
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=Text(title), title_justify="left", caption_justify="left")
    table.caption = Text(caption)
    table.add_column("law", overflow="fold")
    for column in ("measured", "predicted", "verdict"):
        table.add_column(column, justify="right", no_wrap=True)
    for law in laws:
        word = Spread([law], least).verdict()
        table.add_row(Text(law.name), figure_text(law.measured), wanted(law), Text(word, STYLES[word]))
    return table


def plain_table(given: Table) -> Any:
    """An experiment's own `Table` for the terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=Text(given.title), title_justify="left", caption_justify="left")
    table.caption = Text(given.note)
    least = 1
    for column, numeric, cells in zip(given.columns, numeric_columns(given), _columns(given), strict=True):
        words = [word for text in (column, *cells) for word in text.split()]
        narrow = max(map(len, [*column.split(), *(cells if numeric else words)]), default=1)
        least += narrow + 3
        if numeric:  # cells never wrap, the header wraps at words
            table.add_column(Text("\n".join(wrap(column, narrow))), justify="right", no_wrap=True)
        else:
            table.add_column(Text(column), overflow="fold")
    if least > NARROW:  # save space by leaving out the lines between columns
        table.box, table.show_edge, table.pad_edge, table.collapse_padding = SIMPLE_HEAD, False, False, True
    for row in given.rows:
        table.add_row(*(Text(str(cell), STYLES.get(str(cell), "")) for cell in row))
    return table


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold only numbers, to be aligned on the right: 1,024, -3e-05, 0.71 / 5, 20 (20), -, ∞."""
    columns = _columns(table)
    return [bool(cells) and all(_is_number(cell) for cell in cells) for cells in columns]


def _columns(table: Table) -> list[list[str]]:
    return [[str(row[k]) for row in table.rows] for k in range(len(table.columns))]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"([-+\d.,/±×%<>≤≥≈∞()\s]|e[-+]?\d|nan|inf|None)+", cell) is not None
