"""Terminal tables of an experiment's results, at one seed or several."""

from __future__ import annotations

from typing import Any

from tinyres.lab.experiment import Experiment, Result
from tinyres.lab.law import Law
from tinyres.lab.printed import STYLES, figure_text, laws_table, plain_table, wanted


def tables(experiment: Experiment, result: Result) -> list[Any]:
    """The experiment's laws with their verdicts, then its other tables."""
    made = (
        [laws_table(f"{experiment.name}: {experiment.claim}", result.laws, result.caption, experiment.seeds)]
        if result.laws
        else []
    )
    return made + [plain_table(table) for table in result.tables]


def seeds_table(document: dict[str, Any]) -> Any:
    """A table of laws at several seeds: mean, standard deviation, and the number of seeds at which each holds."""
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
    """Mean ± standard deviation over seeds, or "not finite" if any seed's number is not."""
    if row["mean"] is None:
        return "not finite"
    return figure_text(row["mean"]) + ("" if row["sd"] is None else f" ± {row['sd']:.2g}")
