"""The figure of E3."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, curves: dict[tuple[float, float], Any]) -> None:
    """Gain against depth, measured and predicted, forward and backward."""
    residual = [case for case in curves if case[0]]
    colours = {case: palette.shade(palette.RESIDUAL, k, len(residual)) for k, case in enumerate(residual)}
    colours |= {case: palette.PLAIN for case in curves if not case[0]}
    ways = ("signal, forward", "gradient, backward")
    for k, (axes, way) in enumerate(zip(figure.subplots(1, 2, sharey=True), ways, strict=True)):
        for (m, a), curve in curves.items():
            depth = np.arange(curve.shape[1])
            label = f"skip {m:g}, branch {a:.3g}" if m else f"plain: no skip, branch {a:.3g}"
            dots_and_line(
                axes, (depth, np.exp(curve[k])), (depth, (m * m + a * a) ** depth), colours[m, a], label, log="y"
            )
        axes.set(xlabel="residual blocks passed", title=f"Residual nets without normalisation: {way}")
    figure.axes[0].set_ylabel("gain of the square: dots measured, lines (skip² + branch²)ᴸ")
    figure.axes[0].legend(fontsize=8)
