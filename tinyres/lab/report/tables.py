"""What the terminal shows of an experiment: its finding, and tables of its results at one seed or several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinyres.lab.experiment import Experiment, Result
from tinyres.lab.law import LAWS, Law, Spread
from tinyres.lab.printed import STYLES, figure_text, laws_table, plain_table, wanted


def finding(experiment: Experiment, result: Result, seconds: float, told: bool = True) -> list[Any]:
    """The claim, the finding in its sentence (if it is `told` here), how many laws hold, and a table of those that do
    not.
    """
    from rich.padding import Padding
    from rich.text import Text

    verdicts = [Spread([law], experiment.seeds).verdict() for law in result.laws]
    rows = [law.to_json() | {"verdict": word} for law, word in zip(result.laws, verdicts, strict=True)]
    failed = [law for law, word in zip(result.laws, verdicts, strict=True) if word == "FAILS"]
    said = "; ".join(filter(None, [counts(rows), f"{seconds:.1f} s"]))
    texts = [(result.found if told else "", ""), (said, "bold red" if failed else "dim")]
    made: list[Any] = [Text(f"{experiment.name}: {experiment.claim}", "bold")]
    made += [Padding(Text(text, style), (0, 0, 0, 2)) for text, style in texts if text]
    if failed:
        made.append(laws_table("These do not hold:", failed, result.note, experiment.seeds))
    return made


def tables(experiment: Experiment, result: Result) -> list[Any]:
    """The experiment's laws with their verdicts, then its other tables."""
    laws = [laws_table("", result.laws, result.note, experiment.seeds)] if result.laws else []
    return laws + [plain_table(table) for table in result.tables]


def counts(rows: Iterable[dict[str, Any]]) -> str:
    """Count laws and checks that pass: "58 of 59 laws hold; 14 of 14 checks agree"."""
    said = []
    judged = [row for row in rows if row["verdict"] != "shown"]
    for what, verb, chosen in (
        ("law", "hold", [row for row in judged if row["kind"] in LAWS]),
        ("check", "agree", [row for row in judged if row["kind"] == "check"]),
    ):
        if chosen:
            met = sum(row["verdict"] != "FAILS" for row in chosen)
            one = len(chosen) == 1
            said.append(f"{met} of {len(chosen)} {what}{'' if one else 's'} {verb}{'s' if one else ''}")
    return "; ".join(said)


def seeds_table(document: dict[str, Any]) -> Any:
    """A table of laws at several seeds: mean, standard deviation, and the number of seeds at which each holds."""
    from rich.table import Table as RichTable
    from rich.text import Text

    done = document["seeds"]["done"]
    table = RichTable(title=Text(f"{document['name']}: {document['claim']}"), title_justify="left")
    table.add_column("law", overflow="fold")
    for column in ("mean ± sd", "predicted", f"of {len(done)}", "verdict"):
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
