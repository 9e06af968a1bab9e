"""The figure of E3."""

from __future__ import annotations

from typing import Any

import numpy as np


def draw(figure: Any, curves: dict[tuple[float, float], Any]) -> None:
    """Gain against depth, measured and predicted, forward and backward."""
    ways = ("signal, forward", "gradient, backward")
    for k, (axes, way) in enumerate(zip(figure.subplots(1, 2, sharey=True), ways, strict=True)):
        for j, ((m, a), curve) in enumerate(curves.items()):
            depth = np.arange(curve.shape[1])
            label = f"skip {m:g}, branch {a:.3g}" if m else f"no skip, branch {a:.3g}: plain"
            axes.semilogy(depth, (m * m + a * a) ** depth, "-", color=f"C{j}", lw=1)
            axes.semilogy(depth, np.exp(curve[k]), "o", color=f"C{j}", ms=4, label=label)
        axes.set(xlabel="residual blocks passed", title=f"Residual nets without normalisation: {way}")
    figure.axes[0].set_ylabel("gain: dots measured, lines (m² + a²)ᴸ")
    figure.axes[0].legend(fontsize=8)
