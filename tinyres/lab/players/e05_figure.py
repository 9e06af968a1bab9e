"""The figures of E5."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.flow.theory import dirac
from tinyres.lab.players import e05_cycles as cycles

CYCLES = {"WGAN-GP": "C0", "WGAN-GP, from inside": "C1", "WGAN, clipped": "C2"}


def draw(figure: Any, near: dict[str, Any], far: dict[str, Any]) -> None:
    """Trajectories in the plane of both weights; and where a published penalty leaves the fake."""
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 0.9])
    for k, (name, path) in enumerate(near.items()):
        left.plot(*path.T, "-", color=f"C{k}", lw=1, marker="o", ms=2, markevery=10, label=name)
    left.plot(1, 1, "ks", ms=5)
    left.text(0.9, 0.95, "start", ha="right")
    left.set_title("Only damped methods\nreach the centre", fontsize=11)
    for name, colour in CYCLES.items():
        label = name.replace("WGAN-GP", f"WGAN-GP, γ={cycles.CYCLE:g}")
        middle.plot(*far[name].T, "-", color=colour, lw=1, label=label)
        middle.plot(*far[name][0], "s", color=colour, ms=5)
    for radius in (dirac.penalty_cycle(cycles.CYCLE, cycles.CYCLE_H), dirac.clipped_cycle(cycles.CLIP)):
        middle.plot([-radius, radius], [0, 0], "kD", ms=5, label="predicted extent" if radius == cycles.CLIP else None)
    middle.set_title("WGAN with a small penalty or clipping\nends on a limit cycle", fontsize=11)
    for axes in (left, middle):
        axes.plot(0, 0, "k+", ms=12)
        axes.set(xlim=(-2.1, 2.3), ylim=(-2, 3.2), aspect="equal")  # room for the legend
        axes.set(xlabel="θ: where the generator puts its fake", ylabel="ψ: slope of the discriminator")
        axes.legend(fontsize=8, loc="upper right")
    parked(right, far["WGAN-GP, λ=10"])


def parked(axes: Any, path: Any) -> None:
    """|θ| over γ and |ψ| against time."""
    time = cycles.PARKED_H * np.arange(len(path))
    axes.plot(time, np.abs(path[:, 0]), "-", color=palette.G, lw=2, label="distance |θ| of the fake from the data")
    axes.axhline(cycles.PUBLISHED, color="k", ls="--", lw=1, label=f"predicted: γ = 2λ = {cycles.PUBLISHED:g}")
    axes.set(xlabel="time (steps x h)", ylabel="|θ|", ylim=(0, 30))
    axes.set_title("At the published λ = 10\nthe fake leaves the data and parks", fontsize=11)
    slope = axes.twinx()
    slope.plot(time, np.abs(path[:, 1]), "-", color=palette.D, lw=1.5)
    slope.set(ylim=(0, 1.5))
    slope.spines["right"].set_visible(True)
    slope.set_ylabel("critic's slope |ψ|", color=palette.D)
    axes.legend(fontsize=8, loc="upper right")


def draw_one(figure: Any, path: Any, title: str) -> None:
    """One trajectory: in the plane, and the distance |θ| against steps."""
    plane, axes = figure.subplots(1, 2)
    plane.plot(path[:, 0], path[:, 1], "-", lw=1)
    plane.plot(path[0, 0], path[0, 1], "ks", ms=5, label="start")
    plane.plot(0, 0, "k+", ms=12, label="the fake on the data, D flat")
    plane.set(xlabel="θ: where the generator puts its fake", ylabel="ψ: slope of the discriminator", title=title)
    plane.legend(fontsize=9)
    axes.plot(np.abs(path[:, 0]), lw=1)
    axes.set(xlabel="step", ylabel="distance |θ| of the fake from the data")
