"""Combine the results of one experiment at several seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.flow.measurement import plain
from tinyres.lab.experiment import Draw
from tinyres.lab.law import Law, Spread

EDGE = 3.0  # range of the figure's axis, in tolerances


def gather(documents: Mapping[int, dict[str, Any]], failed: Mapping[int, str]) -> dict[str, Any]:
    """The first seed's document, with every law's spread under `seeds`.

    documents: the result of each seed; failed: error messages of the seeds that failed.

    Raises:
        ValueError: the seeds do not have the same laws.
    """
    first = next(iter(documents.values()))
    names = [law["name"] for law in first["laws"]]
    for seed, document in documents.items():
        if [law["name"] for law in document["laws"]] != names:
            raise ValueError(f"{first['name']}: the laws of seed {seed} have other names than those of the first seed")
    found = [[Law.from_json(document["laws"][k]) for document in documents.values()] for k in range(len(names))]
    spreads = [_row(Spread(laws, first["least_seeds"])) for laws in found]
    seeds = {"done": list(documents), "failed": {str(seed): why for seed, why in failed.items()}, "laws": spreads}
    return first | {
        "seeds": plain(seeds),
        "seconds": round(sum(document["seconds"] for document in documents.values()), 2),
    }


def _row(spread: Spread) -> dict[str, Any]:
    law, measured = spread.laws[0], spread.measured
    finite = bool(np.isfinite(measured).all())
    return {
        "name": law.name,
        "kind": law.kind,
        "source": law.source,
        "measured": measured,
        "margins": [_margin(entry) for entry in spread.laws],
        "mean": measured.mean() if finite else math.nan,
        "sd": measured.std(ddof=1) if finite and len(measured) > 1 else math.nan,
        "predicted": np.mean([entry.predicted for entry in spread.laws]),
        # An ordering's threshold is shown beside the mean, as the mean that it is.
        "tolerance": (np.mean if law.kind == "ordering" else max)([entry.tolerance for entry in spread.laws]),
        "interval": spread.interval(),
        "ok": [entry.ok for entry in spread.laws],
        "holds": spread.holds,
        "verdict": spread.verdict(),
    }


def _margin(law: Law) -> float:
    """Distance from the prediction in tolerances; for an ordering, distance from the threshold relative to it."""
    if law.kind == "ordering":
        least = law.predicted + law.tolerance
        return (law.measured - least) / (abs(least) or 1.0)
    gap = law.measured - law.predicted
    return gap / law.tolerance if law.tolerance else 0.0 if gap == 0 else math.copysign(math.inf, gap)


def picture(rows: list[dict[str, Any]]) -> Draw:
    """Plot one line per law and one dot per seed, red where the law is not met."""
    judged = [row for row in rows if row["kind"] != "figure"]

    def draw(figure: Any) -> None:
        figure.set_size_inches(11, max(3.0, 1.2 + 0.24 * len(judged)))
        axes = figure.subplots()
        for k, row in enumerate(judged):
            allowed = [0, EDGE] if row["kind"] == "ordering" else [-1, 1]
            axes.fill_between(allowed, k - 0.4, k + 0.4, color=palette.FAINT, alpha=0.2, lw=0)
            for margin, ok in zip(row["margins"], row["ok"], strict=True):
                far = -EDGE if margin is None else max(-EDGE, min(EDGE, margin))  # not finite: at the edge
                axes.plot(far, k, "o", color="k" if ok else palette.BAD, ms=4, alpha=0.7)
        names = [row["name"] for row in judged]
        axes.set(xlim=(-EDGE - 0.1, EDGE + 0.1), ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)))
        axes.set_yticklabels(names, fontsize=7)
        axes.axvline(0, color="0.5", lw=0.8)
        text = "measured - predicted, in tolerances (ordering: measured - threshold, relative to the threshold)"
        axes.set_xlabel(f"{text}; one dot per seed, clipped at the edge", fontsize=8)

    return draw
