"""Results as tables in the terminal."""

from __future__ import annotations

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
    from rich.markup import escape
    from rich.table import Table as RichTable

    table = RichTable(title=escape(given.title), title_justify="left", caption_justify="left")
    table.caption = escape(given.note)
    for k, column in enumerate(given.columns):
        numeric = bool(given.rows) and all(_is_number(row[k]) for row in given.rows)
        table.add_column(escape(column), justify="right" if numeric else "left", overflow="fold")
    for row in given.rows:
        cells = [escape(str(cell)) for cell in row]
        table.add_row(*(f"[{STYLES[cell]}]{cell}[/]" if cell in STYLES else cell for cell in cells))
    return table


def _is_number(cell: Any) -> bool:
    return str(cell).replace(",", "").strip("-+%. ").replace(".", "", 1).replace("e-", "").isdigit() or cell == "-"
