"""The figure of E25."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.flow.theory import attention as theory
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, one: Any, curves: dict[int, Any], alone: Any, s: float) -> None:
    """One layer on logarithmic axes, where powers are straight lines, and e layer by layer."""
    left, middle, right = figure.subplots(1, 3)
    e, after, skip, query, value = np.exp(np.log(one).mean(axis=0)).T
    span = np.array([e[-1], e[0]])
    for dots, power, colour, label in (
        (after, theory.POWER, palette.PLAIN, "attention alone: e³"),
        (skip, theory.POWER_WITH_SKIP, palette.RESIDUAL, "with a skip connection: e"),
    ):
        dots_and_line(left, (e, dots), (span, dots[-1] * (span / e[-1]) ** power), colour, label, log="xy")
    left.set(xlabel="e before the layer", ylabel="e after it", title="One layer: 1 - correlation of two tokens")
    left.legend(fontsize=8)
    for dots, power, colour, label in (
        (query, theory.QUERY_POWER, palette.CASES[1], "W_Q: e²"),
        (value, 0, palette.CASES[3], "W_V: as it was"),
    ):
        dots_and_line(middle, (e, dots), (span, dots[-1] * (span / e[-1]) ** power), colour, label, log="xy")
    middle.set(xlabel="e before the layer", ylabel="squared gradient", title="The query's weights stop learning")
    middle.legend(fontsize=8)
    for k, (count, found) in enumerate(curves.items()):
        layers = np.arange(found.shape[1])
        q, c = theory.with_skips(len(layers) - 1, count, s).T
        colour = palette.shade(palette.RESIDUAL, k, len(curves))
        dots_and_line(right, (layers, found[:, :, 2].mean(axis=0)), (layers, 1 - c / q), colour,
                      f"with skips, {count} tokens", log="y")  # fmt: skip
    lost = np.exp(np.log(np.maximum(alone[:, :, 2], 1e-33)).mean(axis=0))
    seen = lost > 1e-30
    right.semilogy(np.arange(len(lost))[seen], lost[seen], "o--", color=palette.PLAIN, ms=4, label="attention alone")
    right.set(xlabel="layers passed", ylabel="e", ylim=(1e-16, 3), title="Many layers")
    right.legend(fontsize=8)
