"""The figure of E13."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.flow.theory import gan_metrics as theory


def draw(figure: Any, points: list[dict[str, float]], limit: dict[str, Any], ring: dict[str, Any]) -> None:
    """The bias against N; a distance and its limit; a ring of which half the modes are missing."""
    bias, line, plane = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    for k, d in enumerate(sorted({int(point["d"]) for point in points})):
        here = sorted((point for point in points if point["d"] == d), key=lambda point: point["N"])
        n = np.geomspace(40, 6000, 50)
        bias.loglog(n, theory.frechet_null_bias(d, 1) / n, color=f"C{k}", lw=1)
        bias.errorbar(
            [p["N"] for p in here], [p["distance"] for p in here], [3 * p["error"] for p in here],
            fmt="o", color=f"C{k}", ms=5, label=f"d = {d}",
        )  # fmt: skip
    bias.set(xlabel="samples of each side, N", ylabel="Fréchet distance", ylim=(5e-3, 2e1))
    bias.set_title("Two samples of one Gaussian\n(lines: d(d+5)/2N)")
    bias.legend()

    limit_line(line, limit, "s = 1 against 1.2 in 32 dimensions")

    scores = ring["scores"]
    plane.plot(*ring["real"].T, "o", color="0.75", ms=9, label="real")
    plane.plot(*ring["generated"].T, "o", color=palette.G, ms=3, label="generated")
    plane.set(aspect="equal", xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    plane.set_title(
        f"Fréchet {scores['Fréchet']:.1g}, precision {scores['precision']:.2f}\n"
        f"recall {scores['recall']:.2f}, {scores['modes']:g} of 8 modes"
    )
    plane.legend(loc="center")


def limit_line(axes: Any, limit: dict[str, Any], title: str) -> None:
    """The distance against 1/N, the line through it, and the true one."""
    inverse, distances = 1 / np.array(limit["sizes"]), np.array(limit["distances"])
    slope = np.polyfit(inverse, distances, 1)[0]
    x = np.linspace(0, inverse.max(), 2)
    axes.plot(x, limit["value"] + slope * x, "C3-", lw=1, label="fit")
    axes.plot(inverse, distances, "C3o", ms=5, label=f"subsets of {max(limit['sizes']):,} samples")
    axes.axhline(limit["true"], color="k", lw=1, ls="--", label=f"true: {limit['true']:.3g}")
    axes.set(xlabel="1/N", ylabel="Fréchet distance", ylim=(0, None), xlim=(0, None))
    axes.set_title(f"{title}\n(extrapolated: {limit['value']:.3g})")
    axes.legend(loc="lower right")


def draw_case(figure: Any, limit: dict[str, Any], title: str) -> None:
    """One distance and its limit."""
    limit_line(figure.subplots(), limit, title)
