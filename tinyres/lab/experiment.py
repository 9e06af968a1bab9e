"""An experiment, its options and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyres.lab.law import Law, shown
from tinyres.lab.printed import Table, as_text
from tinyres.lab.setting import Setting

__all__ = ["BOTH", "Experiment", "InPieces", "Law", "Options", "Result", "Setting", "Table", "Tick", "shown"]


@dataclass(frozen=True)
class Options:
    """Options that the command line sets.

    settings: values for all of the experiment's `settings`, or empty to run its default cases.
    device: where the nets live, if the experiment's `devices` include it; random numbers are always drawn on the CPU.
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
    """The result of an experiment: laws, tables, functions that draw the figures, and further data for the JSON file.

    found: the finding, in one sentence with its numbers.
    note: what a reader needs to know to read the table of laws.
    """

    laws: list[Law] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Draw] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    found: str = ""

    def __str__(self) -> str:
        """The table of laws, as the command prints it."""
        return as_text(self.laws, self.caption, self.tables)

    @property
    def caption(self) -> str:
        """The text below the table of laws."""
        return "\n".join(filter(None, [self.found, self.note]))


Tick = Callable[[], None]
BOTH = ("cpu", "cuda")


@dataclass(frozen=True)
class InPieces:
    """An experiment's `run` whose measurement has pieces that do not need each other, such as several trainings.

    Called, it measures one after the other; `side_by_side.py` hands them to several processes. A piece and what is
    found of it can be pickled.

    Attributes:
        pieces: pieces(options) are those to measure.
        measure: measure(options, piece, tick) is what is found of one.
        gather: gather(options, what was found of each) is the result.
        cost: how long a piece takes, in any unit: the longest ones start first.
    """

    pieces: Callable[[Options], list[Any]]
    measure: Callable[[Options, Any, Tick], Any]
    gather: Callable[[Options, list[Any]], Result]
    cost: Callable[[Any], float]

    def __call__(self, options: Options, tick: Tick) -> Result:
        return self.gather(options, [self.measure(options, piece, tick) for piece in self.pieces(options)])


@dataclass(frozen=True)
class Experiment:
    """A named claim that can be tested by running it.

    Attributes:
        name: the name to type: "E2".
        question: the question it answers, in one sentence.
        claim: the claim under test, in one line.
        prediction: the equation or number that the measurement is compared with, as plain text for the terminal.
        equation: the same equation in TeX, for typeset pages.
        source: papers, or "derived: ..." if the prediction is our own derivation.
        ticks: ticks(options) is the number of times `run` calls its second argument: the length of the progress bar.
        run: measures, and returns laws with verdicts, tables and figures; `InPieces` where several processes can
            share the work.
        seconds: approximate run time on two cores.
        starred: one of the main laws, which are quick to check together.
        devices: where it can run. Experiments that train or run nets use `Options.device`; closed forms, toy problems
            of a few numbers and pure NumPy stay on the CPU.
        varies: what depends on the seed.
        seeds: how many seeds a verdict needs: 1 if the experiment averages over its own random draws, or has none; 5
            if a seed is a single training.
        conditions: where the law holds: the widths, ranges and limits that it needs.
        choices: choices made after seeing a result (seeds, widths, rates, factors), and why, a sentence each.
        settings: parameters at which the law can be tested, besides the experiment's default cases.
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
