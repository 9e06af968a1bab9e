"""The figures of E4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.flow.theory import normalised
from tinyres.lab.depth import slope
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, curves: dict[str, Any], scales: Sequence[float]) -> None:
    """Gain against depth on logarithmic axes, where a power is a straight line, and gain per block against m."""
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    last = len(curves["plain"]) - 1
    depth = np.arange(1, last + 1)
    left.loglog(depth, 2.0**depth, "--", color=palette.FAINT, lw=1, label="residual without BN: 2ᴸ")
    light, full = (palette.shade(palette.RESIDUAL, k, 2) for k in range(2))
    lines = [
        ("plain", normalised.plain_gain() ** depth, palette.PLAIN, "plain BN: 1.467ᴸ"),
        ("2", normalised.residual_gains(last, 2)[1:], light, "BN residual, two layers per branch: about L^2.15"),
        ("1", normalised.residual_gains(last, 1)[1:], full, "BN residual, one layer per branch: about L^1.47"),
    ]
    for case, theory, colour, label in lines:
        dots_and_line(left, (depth, np.exp(curves[case][1:])), (depth, theory), colour, label, log="xy")
    left.set(xlabel="layers or blocks passed, L", ylabel="|gradient at input|² / |gradient after L|²", ylim=(0.8, 1e7))
    left.set_title("Batch norm: skip connections turn exponentials into powers\n(dots measured, lines theory)")
    left.legend(fontsize=8, loc="upper left")
    m = np.linspace(0, 1, 101)
    right.plot(m, [normalised.scaled_gain(value) for value in m], "k-", lw=1, label="m² + (1 - m²) π/(π - 1)")
    for value in scales:
        found = slope(curves[f"m={value}"])
        right.plot(value, np.exp(found), "o", color=palette.RESIDUAL, label="measured" if value == scales[0] else None)
    right.plot(0, np.exp(slope(curves["plain"])), "o", color=palette.PLAIN, label="plain")
    right.set(
        xlabel="scale m of the skip connection (branch √(1 - m²))", ylabel="gain of the squared gradient per block"
    )
    right.set_title("A scaled skip connection explodes again")
    right.legend(fontsize=8)


def draw_one(figure: Any, curve: Any, theory: Any) -> None:
    """The gain against depth of the one case that was asked about."""
    axes, depth = figure.subplots(), np.arange(len(curve))
    dots_and_line(axes, (depth, np.exp(curve)), (depth, theory), 0, log="y")
    axes.set(xlabel="blocks passed, L", ylabel="|gradient at input|² / |gradient after L|²")
    axes.set_title("Blocks with batch norm in their branches: dots measured, line theory")
