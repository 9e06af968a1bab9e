"""Results as tables in the terminal."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import Any

from tinyres.flow.experiments.experiment import Experiment, Law, Result, Table


def figure_text(value: float) -> str:
    """Four significant digits; rounding errors of sums are left as they are, since a law may be about them."""
    return f"{value:.4g}"


def wanted(law: Law) -> str:
    """What the law demands of the measured figure."""
    if law.kind == "figure":
        return "-"
    if law.kind == "ordering":
        return f"> {figure_text(law.predicted + law.tolerance)}"
    return f"{figure_text(law.predicted)} ± {law.tolerance:.2g}"


def verdict(law: Law) -> str:
    """In a word."""
    return "shown" if law.kind == "figure" else "holds" if law.ok else "FAILS"


NARROW = 80  # columns of a terminal that tables should fit into
STYLES = {"holds": "green", "FAILS": "bold red", "trains": "green", "does not": "bold red", "shown": "dim"}


def tables(experiment: Experiment, result: Result) -> list[Any]:
    """The experiment's laws with their verdicts, then its other tables."""
    made = [laws_table(experiment, result)] if result.laws else []
    return made + [plain_table(table) for table in result.tables]


def laws_table(experiment: Experiment, result: Result) -> Any:
    """Measured beside predicted, a verdict a row."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    title = f"{experiment.name}: {experiment.claim}"
    table = RichTable(title=escape(title), title_justify="left", caption_justify="left")
    table.caption = escape(result.note)
    table.add_column("law", overflow="fold")
    for column in ("measured", "predicted", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for law in result.laws:
        word = verdict(law)
        table.add_row(escape(law.name), figure_text(law.measured), wanted(law), f"[{STYLES[word]}]{word}[/]")
    return table


def plain_table(given: Table) -> Any:
    """A table of an experiment's own making."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table as RichTable

    table = RichTable(title=escape(given.title), title_justify="left", caption_justify="left")
    table.caption = escape(given.note)
    least = 1
    for column, numeric, cells in zip(given.columns, numeric_columns(given), _columns(given), strict=True):
        words = [word for text in (column, *cells) for word in text.split()]
        narrow = max(map(len, [*column.split(), *(cells if numeric else words)]), default=1)
        least += narrow + 3
        if numeric:  # its cells are never broken; the header is, at words
            table.add_column(escape("\n".join(wrap(column, narrow))), justify="right", no_wrap=True)
        else:
            table.add_column(escape(column), overflow="fold")
    if least > NARROW:  # the rules between the columns are what can be spared
        table.box, table.show_edge, table.pad_edge, table.collapse_padding = SIMPLE_HEAD, False, False, True
    for row in given.rows:
        cells = [escape(str(cell)) for cell in row]
        table.add_row(*(f"[{STYLES[cell]}]{cell}[/]" if cell in STYLES else cell for cell in cells))
    return table


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold figures only, to be aligned on the right: 1,024, -3e-05, 0.71 / 5, 20 (20), -, ∞."""
    columns = _columns(table)
    return [bool(cells) and all(_is_number(cell) for cell in cells) for cells in columns]


def _columns(table: Table) -> list[list[str]]:
    return [[str(row[k]) for row in table.rows] for k in range(len(table.columns))]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"([-+\d.,/±×%<>≤≥≈∞()\s]|e[-+]?\d|nan|inf|None)+", cell) is not None
