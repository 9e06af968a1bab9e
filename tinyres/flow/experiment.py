"""What an experiment is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Law:
    """One measured figure beside what it should be.

    kind: "exact" (1e-6 or better), "asymptotic" (per cent), "ordering" (measured is to exceed predicted by more than
    the tolerance), or "check" (two ways to compute one figure). The tolerance is absolute, in the figure's own unit.
    """

    name: str
    measured: float
    predicted: float
    tolerance: float
    kind: str
    source: str

    @property
    def ok(self) -> bool:
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


@dataclass(frozen=True)
class Options:
    """What the command line may change."""

    seed: int = 0
    depths: tuple[int, ...] = (8, 20, 56)
    archs: tuple[str, ...] = ("plain", "resnet")
    steps: int = 200


Draw = Callable[[Any], None]  # draws into a matplotlib Figure


@dataclass
class Result:
    """Laws with their verdicts, trained nets as JSON values, and figures as functions that draw them."""

    laws: list[Law] = field(default_factory=list)
    training: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Draw] = field(default_factory=dict)


Tick = Callable[[], None]


@dataclass(frozen=True)
class Experiment:
    """A named claim that can be run.

    ticks(options) says how often `run` calls its second argument: the length of the progress bar.
    """

    name: str
    claim: str
    ticks: Callable[[Options], int]
    run: Callable[[Options, Tick], Result]
