"""Results as tables in the terminal."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import Any

from tinyres.flow.experiments.experiment import Experiment, Result, Table
from tinyres.flow.experiments.law import Law, Spread


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


NARROW = 80  # columns of a terminal that tables should fit into
STYLES = {
    "holds": "green", "agrees": "green", "FAILS": "bold red", "trains": "green", "does not": "bold red", "shown": "dim",
}  # fmt: skip


def tables(experiment: Experiment, result: Result) -> list[Any]:
    """The experiment's laws with their verdicts, then its other tables."""
    made = [laws_table(f"{experiment.name}: {experiment.claim}", result, experiment.seeds)] if result.laws else []
    return made + [plain_table(table) for table in result.tables]


def as_text(result: Result) -> str:
    """A result without its experiment, as plain text."""
    from io import StringIO

    from rich.console import Console

    stream = StringIO()
    console = Console(file=stream, width=100, color_system=None, emoji=False, highlight=False)
    console.print(laws_table("", result), *map(plain_table, result.tables))
    return stream.getvalue().rstrip()


def laws_table(title: str, result: Result, least: int = 1) -> Any:
    """Measured beside predicted, a verdict a row; none where a verdict takes more seeds (`least`)."""
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=Text(title), title_justify="left", caption_justify="left")
    table.caption = Text("\n".join(filter(None, [result.found, result.note])))
    table.add_column("law", overflow="fold")
    for column in ("measured", "predicted", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for law in result.laws:
        word = Spread([law], least).verdict()
        table.add_row(Text(law.name), figure_text(law.measured), wanted(law), Text(word, STYLES[word]))
    return table


def seeds_table(document: dict[str, Any]) -> Any:
    """Laws at several seeds: the mean, the spread, and at how many seeds each holds."""
    from rich.table import Table as RichTable
    from rich.text import Text

    done = document["seeds"]["done"]
    table = RichTable(title=Text(f"{document['name']}: {document['claim']}"), title_justify="left")
    table.add_column("law", overflow="fold")
    for column in ("mean ± sd", "predicted", f"of {len(done)}", ""):
        table.add_column(column, justify="right", no_wrap=True)
    for row in document["seeds"]["laws"]:
        law, word = Law.from_json(row | {"measured": row["mean"]}), row["verdict"]
        holds = "-" if law.kind == "figure" else f"{row['holds']}"
        table.add_row(Text(law.name), spread_text(row), wanted(law), holds, Text(word, STYLES[word]))
    return table


def spread_text(row: dict[str, Any]) -> str:
    """Mean and standard deviation over seeds; the median alone where a seed's figure is not finite."""
    if row["mean"] is None:
        return "not finite"
    return figure_text(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.2g}")


def plain_table(given: Table) -> Any:
    """A table of an experiment's own making."""
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
        if numeric:  # its cells are never broken; the header is, at words
            table.add_column(Text("\n".join(wrap(column, narrow))), justify="right", no_wrap=True)
        else:
            table.add_column(Text(column), overflow="fold")
    if least > NARROW:  # the rules between the columns are what can be spared
        table.box, table.show_edge, table.pad_edge, table.collapse_padding = SIMPLE_HEAD, False, False, True
    for row in given.rows:
        table.add_row(*(Text(str(cell), STYLES.get(str(cell), "")) for cell in row))
    return table


def numeric_columns(table: Table) -> list[bool]:
    """Which columns hold figures only, to be aligned on the right: 1,024, -3e-05, 0.71 / 5, 20 (20), -, ∞."""
    columns = _columns(table)
    return [bool(cells) and all(_is_number(cell) for cell in cells) for cells in columns]


def _columns(table: Table) -> list[list[str]]:
    return [[str(row[k]) for row in table.rows] for k in range(len(table.columns))]


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"([-+\d.,/±×%<>≤≥≈∞()\s]|e[-+]?\d|nan|inf|None)+", cell) is not None
