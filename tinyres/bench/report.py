"""What the benchmarks have in common when they speak: targets and verdicts, the table of a race, JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyres.bench.agreement import Disagreement
from tinyres.bench.timing import Timing
from tinyres.files import write

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Target:
    """What must be reached, and what one aims at; a ratio is to stay below, a share of the peak above (`at_least`)."""

    must: float
    aim: float | None = None
    at_least: bool = False

    def reached(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit


@dataclass(frozen=True)
class Verdict:
    """A measured value beside its target."""

    what: str
    value: float
    target: Target
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.target.reached(self.value, self.target.must)

    @property
    def aim_met(self) -> bool | None:
        return None if self.target.aim is None else self.target.reached(self.value, self.target.aim)

    def __str__(self) -> str:
        wanted = f"must {self.target.must:g}" + (f", aim {self.target.aim:g}" if self.target.aim is not None else "")
        outcome = "aim met" if self.aim_met else "met" if self.met else "MISSED"
        return f"{self.what}: {self.value:.2f}{self.unit} ({wanted}): {outcome}"

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "must": self.target.must,
            "aim": self.target.aim,
            "met": self.met,
            "aim_met": self.aim_met,
        }


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


def race(title: str, times: dict[str, Timing]) -> Any:
    """The table of peers with the ratio of `tinyres` to each."""
    made = table(title, ["", "ms, median", "quartiles", "tinyres / this"])
    for name, t in times.items():
        ratio = times["tinyres"].median / t.median
        made.add_row(name, f"{t.median * 1e3:.2f}", t.quartiles(), f"{ratio:.2f}")
    return made


def against(times: dict[str, Timing], targets: dict[str, Target]) -> list[Verdict]:
    """`tinyres` against the fastest of the peers whose names begin with a target's key, where there are any."""
    verdicts = []
    for rival, target in targets.items():
        theirs = [t.median for name, t in times.items() if name.startswith(rival)]
        if theirs:
            verdicts.append(Verdict(f"tinyres / {rival}", times["tinyres"].median / min(theirs), target))
    return verdicts


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
        to.print(f"not installed, so not measured: {', '.join(missing)}")
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
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, Any] = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    for package in ("tinyres", "numpy", "numba", "torch"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
