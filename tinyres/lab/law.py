"""One measured figure beside what it should be, at one seed and over several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LAWS = ("exact", "asymptotic", "ordering")  # the kinds that a net or a game might break
SHARE = 0.9  # of the seeds at which a law has to hold
CONFIDENCE = 0.95  # of the interval of a mean over seeds


def standard_error(values: Any) -> float:
    """Of the mean of independent values: s / sqrt(n)."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def three_errors(values: Any) -> float:
    """Three standard errors of the mean: what chance alone may do to it."""
    return 3 * standard_error(values)


def half_width(values: Any) -> float:
    """Half of the 95 % interval of the mean of independent values, by Student's t: t s / sqrt(n)."""
    from scipy import stats

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Law:
    """One measured figure beside what it should be.

    kind: "exact" (1e-6 or better), "asymptotic" (per cent) or "ordering" (measured is to exceed predicted by more than
    the tolerance) are laws. A "check" is no law: an identity, a theorem, or one figure computed in two ways; where it
    fails, the code is wrong. A "figure" is measured and shown, and nothing is demanded of it.
    The tolerance is absolute, in the figure's own unit. source: the paper, or "derived: ..." where it is our algebra.
    """

    name: str
    measured: float
    predicted: float
    tolerance: float
    kind: str
    source: str

    @classmethod
    def of_mean(
        cls,
        name: str,
        values: Any,
        predicted: float,
        source: str,
        *,
        kind: str = "asymptotic",
        room: float = 0.0,
        noise: Callable[[Any], float] = three_errors,
    ) -> Law:
        """The mean of independent values; the tolerance is `room` or what chance may do, whichever is more.

        noise: what chance may do: `three_errors`, or `half_width` where a value is one training.
        """
        tolerance = max(noise(values), room)  # in this order NaN stays: a mean of one value is never met
        return cls(name, float(np.mean(values)), predicted, tolerance, kind, source)

    @classmethod
    def of_geometric_mean(cls, name: str, logs: Any, predicted: float, source: str, *, share: float) -> Law:
        """The geometric mean, from logarithms; the tolerance is a share of what is predicted, or three errors."""
        tolerance = predicted * max(three_errors(logs), share)
        return cls(name, float(np.exp(np.mean(logs))), predicted, tolerance, "asymptotic", source)

    @property
    def ok(self) -> bool:
        if self.kind == "figure":
            return True
        if self.kind == "ordering":
            return self.measured > self.predicted + self.tolerance
        return abs(self.measured - self.predicted) <= self.tolerance  # NaN is never ok

    def to_json(self) -> dict[str, Any]:
        """The fields and whether it is met, as plain JSON values."""
        return {
            "name": self.name,
            "measured": float(self.measured),
            "predicted": float(self.predicted),
            "tolerance": float(self.tolerance),
            "ok": bool(self.ok),
            "kind": self.kind,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Law:
        """What `to_json` wrote; null, which stands for NaN and infinity, becomes NaN."""
        numbers = {k: math.nan if entry[k] is None else entry[k] for k in ("measured", "predicted", "tolerance")}
        return cls(entry["name"], **numbers, kind=entry["kind"], source=entry["source"])


def shown(name: str, measured: float, source: str = "") -> Law:
    """A figure that is shown without a verdict."""
    return Law(name, measured, float("nan"), float("nan"), "figure", source)


@dataclass(frozen=True)
class Spread:
    """One law at several seeds.

    laws: the law as each seed found it.
    least: how many seeds a verdict takes. 1 where a seed is a repetition of the whole experiment; more where it is one
        training, and a single training says little.
    """

    laws: Sequence[Law]
    least: int = 1

    @property
    def measured(self) -> Any:
        """The figure at each seed."""
        return np.array([law.measured for law in self.laws], float)

    @property
    def holds(self) -> int:
        """At how many seeds it is met."""
        return sum(law.ok for law in self.laws)

    def interval(self) -> tuple[float, float]:
        """Of the mean of measured - predicted, by Student's t at 95 %; NaN for one seed or where one is not finite."""
        gaps = self.measured - np.array([law.predicted for law in self.laws], float)
        if len(gaps) < 2 or not np.isfinite(gaps).all():
            return math.nan, math.nan
        reach = half_width(gaps)
        return float(gaps.mean() - reach), float(gaps.mean() + reach)

    def verdict(self) -> str:
        """In a word: "holds" or "FAILS" for a law, "agrees" or "FAILS" for a check, else "shown".

        A law holds that holds at nine seeds of ten. Where one seed is one training, the interval of the mean decides:
        of an ordering, all of it lies above what is demanded; of any other law, all of it lies within the tolerance;
        and with fewer seeds than `least` there is no verdict.
        """
        kind, tolerance = self.laws[0].kind, max(law.tolerance for law in self.laws)
        if kind == "figure":
            return "shown"
        if kind == "check":
            return "agrees" if self.holds == len(self.laws) else "FAILS"
        if len(self.laws) < self.least:
            return "shown"
        if self.least == 1:
            return "holds" if self.holds >= SHARE * len(self.laws) else "FAILS"
        low, high = self.interval()
        met = low > tolerance if kind == "ordering" else -tolerance <= low and high <= tolerance
        return "holds" if met else "FAILS"
