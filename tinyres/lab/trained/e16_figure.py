"""The picture of E16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.figures import palette

CONTOURS = {2.0: ":", 4.0: "-.", 6.0: "--", 9.0: "-"}  # k of the lines k ξ
MARKERS = "vo^"


@dataclass(frozen=True)
class Grid:
    """What was trained; `judged` is the index of the rate that the left panel shows."""

    rates: Sequence[float]
    depths: Sequence[int]
    s_w2: Sequence[float]
    critical: float
    judged: int
    xi: Callable[[float], float]


def draw(figure: Any, grid: Grid, losses: Any, reached: Any) -> None:
    """The loss over s_w² and depth at one rate with contours k ξ, and the boundary of every rate against ξ."""
    left, right = figure.subplots(1, 2, width_ratios=[1.4, 1])
    count, depths, s_w2 = len(grid.s_w2), grid.depths, grid.s_w2
    places, rows, fine = np.arange(count), np.log2(depths), np.linspace(0, count - 1, 181)
    shade = np.minimum(np.nan_to_num(losses[grid.judged], nan=np.inf), np.log(10)) / np.log(10)
    image = left.pcolormesh(places, rows, shade, cmap="magma_r", vmin=0, vmax=1, shading="nearest")
    figure.colorbar(image, ax=left, label="final loss, divided by guessing's")
    contour = np.array([grid.xi(s) for s in np.interp(fine, places, s_w2)])
    for k, style in CONTOURS.items():
        left.plot(fine, np.log2(k * contour), style, color=palette.CASES[3], label=f"{k:g} ξ")
    left.plot(places, np.log2(reached[grid.judged]), "wo", mec="k", ms=5, label="boundary: half of guessing's loss")
    left.set(xticks=places, yticks=rows, ylim=(rows[0] - 0.25, rows[-1] + 0.25), xlim=(-0.5, count - 0.5))
    left.set_xticklabels([f"{s:g}" for s in s_w2])
    left.set_yticklabels([str(d) for d in depths])
    left.set(xlabel=f"weight variance s_w² (critical: {grid.critical:g})", ylabel="hidden layers")
    left.set_title(f"Plain tanh nets at rate {grid.rates[grid.judged]}: bright is trained, dark is not")
    left.legend(fontsize=7, loc="lower right")

    scales, line, ordered = np.array([grid.xi(s) for s in s_w2]), np.array([1.5, 40.0]), np.array(s_w2) < grid.critical
    for k, style in CONTOURS.items():
        right.plot(line, k * line, style, color=palette.CASES[3], lw=1)
    for j, (rate, found) in enumerate(zip(grid.rates, reached, strict=True)):
        apart = 1 + 0.03 * (j - (len(grid.rates) - 1) / 2)  # or equal boundaries would hide each other
        right.plot(
            scales[ordered],
            apart * found[ordered],
            MARKERS[j] + "-",
            color=palette.CASES[j],
            lw=1,
            label=f"rate {rate}",
        )
    right.set(xscale="log", yscale="log", xlim=line, ylim=(depths[0], 2 * depths[-1]))
    for axis, ticks in ((right.xaxis, (2, 5, 10, 20, 40)), (right.yaxis, (5, 10, 20, 50, 100))):
        axis.set_ticks(ticks, labels=[str(t) for t in ticks])
        axis.set_ticks([], minor=True)
    right.set(xlabel="depth scale ξ in layers, from theory", ylabel="depth at which training ceases")
    right.set_title("Ordered nets: the boundary against ξ\n(green lines: power 1, k ξ as on the left)")
    right.legend(fontsize=8, loc="lower right")
