"""The picture of E17."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinyres.figures import palette

COLOURS = dict(zip(("0", "1/sqrt(L)", "a/sqrt(L)", "1", "fixup"), palette.CASES, strict=False))


def draw(figure: Any, curves: dict[tuple[int, str], list[float]], names: Mapping[str, str]) -> None:
    """Training loss over the steps, one panel per depth."""
    depths = sorted({depth for depth, _ in curves})
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
    for axes, depth in zip(panels, depths, strict=True):
        height = 70.0
        for start, name in names.items():
            losses = np.array(curves[depth, start])
            alive = np.isfinite(losses)
            axes.semilogy(np.flatnonzero(alive) + 1, losses[alive], color=COLOURS[start], lw=1.2, label=name)
            if not alive.all():
                step = int(np.flatnonzero(~alive)[0]) + 1
                axes.plot(step, height, "x", color=COLOURS[start], ms=9, mew=2, clip_on=False)
                axes.annotate(f"{name}: infinite at step {step}", (step, height), (8, -3),
                              textcoords="offset points", fontsize=8, color=COLOURS[start])  # fmt: skip
                height *= 0.6  # the next one's below
        axes.axhline(math.log(10), color="0.6", lw=1)
        axes.text(0.99, math.log(10) * 1.08, "guessing", fontsize=8, color="0.4", ha="right",
                  transform=axes.get_yaxis_transform())  # fmt: skip
        axes.set(xlabel="training step", ylim=(0.02, 100), xlim=(0, len(losses)))
        axes.set_title(f"{depth} layers, {(depth - 2) // 2} blocks")
    panels[0].set_ylabel("training loss (rate and batches the same for all)")
    panels[0].legend(fontsize=8, loc="lower left")
