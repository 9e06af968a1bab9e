"""The figure of E9."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette


def autocorrelation(curves: Any, lags: int) -> Any:
    """Correlation of a curve with itself 0 ... lags - 1 points on, mean over curves (N, points): (lags,)."""
    centred = curves - curves.mean(axis=1, keepdims=True)
    products = [(centred[:, : curves.shape[1] - lag] * centred[:, lag:]).sum(axis=1) for lag in range(lags)]
    return (np.array(products) / products[0]).mean(axis=1)


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """Gradients over a line of inputs, and below how far they remember."""
    grid = figure.subplots(2, len(curves), sharex="row", sharey="row")
    x, lags = np.linspace(-2, 2, next(iter(curves.values())).shape[1]), 40
    for (name, found), (top, bottom) in zip(curves.items(), grid.T, strict=True):
        kind = next((kind for kind in ("plain", "residual") if kind in name), "")
        colour = palette.MEANT.get(kind, palette.FAINT)
        top.plot(x, found[0] / np.abs(found[0]).max(), color=colour, lw=0.8)
        top.set(title=name, xlabel="input x")
        bottom.plot(np.arange(lags), autocorrelation(found, lags), ".-", color=colour, ms=4, lw=0.8)
        bottom.axhline(0, color="k", lw=0.5)
        bottom.set(xlabel="points apart")
    grid[0, 0].set_ylabel("df/dx, scaled")
    grid[1, 0].set_ylabel(f"autocorrelation,\nmean of {len(found)}")
    figure.suptitle("Shattered gradients: a deep plain net's look like white noise, a residual net's less so")


def draw_one(figure: Any, values: Any, predicted: float, name: str) -> None:
    """The correlation that each net of the one case leaves."""
    axes = figure.subplots()
    axes.plot(np.arange(1, len(values) + 1), values, "oC0", label="a net")
    axes.axhline(values.mean(), color="C0", ls="--", lw=1, label=f"mean {values.mean():.4g}")
    axes.axhline(predicted, color="k", lw=1, label=f"theory {predicted:.4g}")
    axes.axhspan(0.85 * predicted, 1.15 * predicted, color="k", alpha=0.08, lw=0, label="± 15 %")
    axes.set(xlabel="net", ylabel="correlation of the gradients at two inputs", title=name)
    axes.legend()
