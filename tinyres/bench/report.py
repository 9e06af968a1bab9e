"""What every benchmark prints and writes: tables, the progress bar, verdicts, JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tinyres
from tinyres.bench.agreement import Disagreement
from tinyres.bench.race import OURS, Times, Verdict
from tinyres.files import write

if TYPE_CHECKING:
    from collections.abc import Iterator


def console() -> Any:
    """A console wide enough for the tables wherever the output goes; only a terminal is taken at its word."""
    from rich.console import Console

    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(width=max(found.width, 125), highlight=False)


@contextmanager
def progress(to: Any, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar that vanishes when done; yields what advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=to, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def table(title: str, columns: list[str], left: int = 1) -> Any:
    """An empty table; the first `left` columns hold words, the others numbers."""
    from rich.table import Table

    made = Table(title=title, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i < left else "right", no_wrap=True)
    return made


def race(title: str, times: Times) -> Any:
    """The table of peers with the ratio of ours to each."""
    made = table(title, ["", "ms, median", "quartiles", f"{OURS} / this"])
    for name, t in times.items():
        made.add_row(name, f"{t.median * 1e3:.2f}", t.quartiles(), number(times[OURS].median / t.median))
    return made


def number(value: float | None) -> str:
    """A cell of a table."""
    return "-" if value is None else f"{value:.2f}"


def timings(times: Times) -> dict[str, Any]:
    return {name: t.to_json() for name, t in times.items()}


def conclude(
    to: Any,
    verdicts: list[Verdict],
    missing: list[str],
    document: dict[str, Any],
    json_file: Path | None,
    disagreements: Sequence[Disagreement] = (),
) -> int:
    """The end of every benchmark: the verdicts, who is missing, who disagrees, the file; and the exit status."""
    for verdict in verdicts:
        to.print(str(verdict), style="" if verdict.met else "bold red")
    if missing:
        to.print(f"not measured: {', '.join(missing)}", markup=False)
    for pair in disagreements:
        to.print(str(pair), style="bold red", soft_wrap=True)
    if json_file is not None:
        document = {
            **document,
            "disagreements": [pair._asdict() for pair in disagreements],
            "targets": {v.what: v.to_json() for v in verdicts},
            "missing": missing,
            "versions": versions(),
        }
        write(json_file, json.dumps(document, indent=1) + "\n")
        to.print(f"wrote {json_file}", soft_wrap=True)
    return 1 if disagreements else 0


def versions() -> dict[str, Any]:
    """What was measured, and on what."""
    found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    return found | {package: version(package) for package in ("tinyres", "numpy", "numba", "torch")}


def version(package: str) -> str | None:
    """Of a package; our own has one even where it is not installed, but run from a checkout."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return tinyres.__version__ if package == "tinyres" else None
