"""Laws: a measured number, its prediction and a verdict, at one seed or over several."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LAWS = ("exact", "asymptotic", "ordering")  # the kinds that a net or a game could violate
SHARE = 0.9  # a law must hold at this share of the seeds
CONFIDENCE = 0.95  # level of the confidence interval of a mean over seeds


def standard_error(values: Any) -> float:
    """Of the mean of independent values: s / sqrt(n)."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def three_errors(values: Any) -> float:
    """Three standard errors of the mean: what chance alone may do to it."""
    return 3 * standard_error(values)


def half_width(values: Any) -> float:
    """Half of the 95 % interval of the mean of independent values, by Student's t: t s / sqrt(n)."""
    from scipy import stats

    if len(values) < 2:
        return math.nan
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


@dataclass(frozen=True)
class Law:
    """A measured number, its prediction and the tolerance between them.

    kind: "exact" (1e-6 or better), "asymptotic" (per cent) and "ordering" (measured must exceed predicted by more than
    the tolerance) are laws. A "check" is not a law but an identity, a theorem, or one number computed in two ways; if
    it fails, the code is wrong. A "figure" is a number shown without a verdict.
    The tolerance is absolute, in the number's own unit. source: the paper, or "derived: ..." if it is our derivation.
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
        """The fields and whether the law is met, as plain JSON values."""
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
        """Read what `to_json` wrote; null, which stands for NaN or infinity, becomes NaN."""
        numbers = {k: math.nan if entry[k] is None else entry[k] for k in ("measured", "predicted", "tolerance")}
        return cls(entry["name"], **numbers, kind=entry["kind"], source=entry["source"])


def shown(name: str, measured: float, source: str = "") -> Law:
    """A number that is shown without a verdict."""
    return Law(name, measured, float("nan"), float("nan"), "figure", source)


@dataclass(frozen=True)
class Spread:
    """One law at several seeds.

    laws: the law as measured at each seed.
    least: how many seeds a verdict needs. 1 if a seed repeats the whole experiment; more if it is a single training,
        which says little by itself.
    """

    laws: Sequence[Law]
    least: int = 1

    @property
    def measured(self) -> Any:
        """The measured number at each seed."""
        return np.array([law.measured for law in self.laws], float)

    @property
    def holds(self) -> int:
        """The number of seeds at which the law is met."""
        return sum(law.ok for law in self.laws)

    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the mean of measured - predicted (Student's t); NaN if one seed or not finite."""
        gaps = self.measured - np.array([law.predicted for law in self.laws], float)
        if len(gaps) < 2 or not np.isfinite(gaps).all():
            return math.nan, math.nan
        reach = half_width(gaps)
        return float(gaps.mean() - reach), float(gaps.mean() + reach)

    def verdict(self) -> str:
        """The verdict: "holds" or "FAILS" for a law, "agrees" or "FAILS" for a check, otherwise "shown".

        A law holds overall if it holds at nine seeds of ten. If a seed is a single training, the confidence interval of
        the mean decides: for an ordering, all of it must lie above the threshold; for any other law, within the
        tolerance. With fewer seeds than `least` there is no verdict.
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
