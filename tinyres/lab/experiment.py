"""What an experiment is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyres.lab.law import Law, shown
from tinyres.lab.printed import Table, as_text
from tinyres.lab.setting import Setting

__all__ = ["BOTH", "Experiment", "Law", "Options", "Result", "Setting", "Table", "Tick", "shown"]


@dataclass(frozen=True)
class Options:
    """What the command line may change.

    settings: all of the experiment's `settings` with their values, or none of them: then it is run at its own cases.
    device: where an experiment whose `devices` name it keeps its nets; all is drawn on the CPU and then moved.
    """

    seed: int = 0
    depths: tuple[int, ...] = (8, 20, 56)
    archs: tuple[str, ...] = ("plain", "resnet")
    steps: int = 200
    device: str = "cpu"
    settings: Mapping[str, Any] = field(default_factory=dict)


Draw = Callable[[Any], None]  # draws into a matplotlib Figure


@dataclass
class Result:
    """Laws with their verdicts, tables, figures as functions that draw them, and what else belongs into the JSON file.

    found: what was found, in one sentence with its numbers.
    note: what a reader of the laws' table needs to know.
    """

    laws: list[Law] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Draw] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    found: str = ""

    def __str__(self) -> str:
        """The table of laws as the command prints it."""
        return as_text(self.laws, self.caption, self.tables)

    @property
    def caption(self) -> str:
        """What stands below the table of laws."""
        return "\n".join(filter(None, [self.found, self.note]))


Tick = Callable[[], None]
BOTH = ("cpu", "cuda")


@dataclass(frozen=True)
class Experiment:
    """A named claim that can be run.

    Attributes:
        name: as it is typed: "E2".
        question: what a reader wants to know, in one sentence.
        claim: one line: what is said to be so.
        prediction: the equation or figure that it is held against, as plain text for the terminal.
        equation: the same equation in TeX, for pages that set it in type.
        source: papers, or "derived: ..." where the prediction is our own algebra.
        ticks: ticks(options) says how often `run` calls its second argument: the length of the progress bar.
        run: measures, and gives laws with verdicts, tables and figures.
        seconds: about how long it takes on two cores.
        starred: one of the laws that come first and are quick to check together.
        devices: where it can run. Those that train or run nets take `Options.device`; closed forms, toys of a few
            numbers and what is NumPy's alone stay on the CPU.
        varies: what another seed draws anew.
        seeds: how many seeds a verdict takes: 1 where the experiment repeats its draws itself, or draws nothing; 5
            where a seed is one training.
        conditions: where the law holds: the widths, ranges and limits that it needs.
        choices: what was chosen after a result had been seen (seeds, widths, rates, factors), and why, a sentence each.
        settings: what the law may be asked at beside the experiment's own cases.
    """

    name: str
    claim: str
    prediction: str
    source: str
    ticks: Callable[[Options], int]
    run: Callable[[Options, Tick], Result]
    seconds: float
    starred: bool = False
    devices: tuple[str, ...] = ("cpu",)
    question: str = ""
    equation: str = ""
    varies: str = ""
    seeds: int = 1
    conditions: str = ""
    choices: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
