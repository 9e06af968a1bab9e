"""What an experiment is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Law:
    """One measured figure beside what it should be.

    kind: "exact" (1e-6 or better), "asymptotic" (per cent), "ordering" (measured is to exceed predicted by more than
    the tolerance), "check" (two ways to compute one figure), or "figure" (measured and shown; nothing is demanded).
    The tolerance is absolute, in the figure's own unit. source: the paper, or "derived: ..." where it is our algebra.
    """

    name: str
    measured: float
    predicted: float
    tolerance: float
    kind: str
    source: str

    @property
    def ok(self) -> bool:
        if self.kind == "figure":
            return True
        if self.kind == "ordering":
            return self.measured > self.predicted + self.tolerance
        return abs(self.measured - self.predicted) <= self.tolerance  # NaN is never ok

    def to_json(self) -> dict[str, Any]:
        """The fields and the verdict as plain JSON values."""
        return {
            "name": self.name,
            "measured": float(self.measured),
            "predicted": float(self.predicted),
            "tolerance": float(self.tolerance),
            "ok": bool(self.ok),
            "kind": self.kind,
            "source": self.source,
        }


def shown(name: str, measured: float, source: str = "") -> Law:
    """A figure that is shown without a verdict."""
    return Law(name, measured, float("nan"), float("nan"), "figure", source)


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers that are no laws; `note` says what the columns mean."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True)
class Options:
    """What the command line may change.

    device: where an experiment whose `devices` name it keeps its nets; all is drawn on the CPU and then moved.
    """

    seed: int = 0
    depths: tuple[int, ...] = (8, 20, 56)
    archs: tuple[str, ...] = ("plain", "resnet")
    steps: int = 200
    device: str = "cpu"


Draw = Callable[[Any], None]  # draws into a matplotlib Figure


@dataclass
class Result:
    """Laws with their verdicts, tables, figures as functions that draw them, and what else belongs into the JSON file.

    note: what a reader of the laws' table needs to know.
    """

    laws: list[Law] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: dict[str, Draw] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    note: str = ""


Tick = Callable[[], None]
BOTH = ("cpu", "cuda")


@dataclass(frozen=True)
class Experiment:
    """A named claim that can be run.

    Attributes:
        name: as it is typed: "E2".
        claim: one line: what is said to be so.
        prediction: the equation or figure that it is held against.
        source: papers, or "derived: ..." where the prediction is our own algebra.
        ticks: ticks(options) says how often `run` calls its second argument: the length of the progress bar.
        run: measures, and gives laws with verdicts, tables and figures.
        seconds: about how long it takes on two cores.
        starred: one of the laws that come first and are quick to check together.
        devices: where it can run. Those that train or run nets take `Options.device`; closed forms, toys of a few
            numbers and what is NumPy's alone stay on the CPU.
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
