"""The figures of E8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.flow.theory import wasserstein


def draw_ways(axes: Any, ways: dict[float, list[float]], delta: float) -> None:
    """The critic's slope on its way, for each penalty."""
    for k, (weight, slopes) in enumerate(ways.items()):
        axes.loglog(1 + np.arange(len(slopes)), slopes, "-", color=f"C{k}", lw=2, label=f"λ = {weight:g}")
        end = wasserstein.penalised_slope(delta, weight)
        axes.axhline(end, color=f"C{k}", ls="--", lw=1)
        axes.text(1.05, end * 1.04, f"1 + δ/2λ = {end:g}", color=f"C{k}", fontsize=9)
    axes.axhline(1, color="k", lw=0.8, ls=":")
    axes.set(xlabel="step of the critic", ylabel="norm of the critic's gradient")
    axes.set_title(f"WGAN-GP, δ = {delta:g}: the slope does not end at 1", fontsize=11)
    axes.legend(loc="center right", fontsize=9)


def draw(
    figure: Any,
    ways: dict[float, list[float]],
    delta: float,
    thetas: Sequence[float],
    lines: list[tuple[float, float]],
) -> None:
    """The critic's slope on its way; distance and divergence of the parallel lines."""
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    draw_ways(left, ways, delta)
    left.set(yticks=[1, 3, 10, 20], yticklabels=["1", "3", "10", "20"], ylim=(0.6, 30))
    fine = np.linspace(-1, 1, 401)
    right.plot(fine, np.abs(fine), "-", color="C2", lw=1, label="Wasserstein distance |θ|")
    away = [fine[fine < 0], fine[fine > 0]]
    for k, part in enumerate(away):
        right.plot(
            part, np.full(len(part), np.log(2)), "-", color="C3", lw=1, label="" if k else "JS divergence: log 2"
        )
    right.plot(0, np.log(2), "o", mec="C3", mfc="w", ms=7)
    right.plot(thetas, [w1 for w1, _ in lines], "o", color="C2")
    right.plot(thetas, [js for _, js in lines], "o", color="C3")
    right.set(
        xlabel="distance θ between two parallel lines", ylabel="distance of the distributions", ylim=(-0.05, 1.25)
    )
    right.set_title("Only one of the two tells the generator where to go", fontsize=11)
    right.legend(loc="upper center", fontsize=9)
