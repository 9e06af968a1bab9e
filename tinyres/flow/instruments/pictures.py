"""The picture of a recorded history: what one wants to see first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.flow.measurement import Measurement
from tinyres.tensor import Array


def history(figure: Any, found: Measurement, not_finite: str | None = None) -> None:
    """Norms against block, gradients over the steps, the routes, and the gradient's histogram at the last step."""
    steps, several = found.labels["step"], len(found.labels["step"]) > 1
    panels = figure.subplots(2, 2)
    _norms(panels[0, 0], found)
    gradients = _log10(found["backward_norm"]).T
    if several:
        _heat(figure, panels[0, 1], gradients, steps, "log₁₀ |gradient|", "the gradient over the steps")
        panels[0, 1].set(xlabel="recorded step", ylabel="block")
    else:
        _dead(panels[0, 1], found)
    if found.labels["residual"]:
        _routes(panels[1, 0], found)
    else:
        _updates(panels[1, 0], found)
    _histogram(figure, panels[1, 1], found)
    if not_finite:
        figure.suptitle(f"not finite first at {not_finite}", color="tab:red", fontsize=10)


def _norms(axes: Any, found: Measurement) -> None:
    steps = found.labels["step"]
    for row, style in ((0, "o-"), (-1, "s--"))[: min(len(steps), 2)]:
        for name, colour, label in (("forward", "tab:blue", "output"), ("backward", "tab:red", "gradient")):
            axes.plot(
                _log10(found[f"{name}_norm"][row]), style, color=colour, ms=3, label=f"|{label}|, step {steps[row]}"
            )
    axes.set(ylabel="log₁₀ norm", xlabel="block")
    axes.set_title("norms at the blocks' outputs", fontsize=10)
    _blocks(axes.xaxis, found)
    axes.legend(fontsize=7)


def _routes(axes: Any, found: Measurement) -> None:
    steps = found.labels["step"]
    for row, style in ((0, "o-"), (-1, "s--"))[: min(len(steps), 2)]:
        axes.plot(
            found["skip_share"][row], style, color="tab:green", ms=3, label=f"the skip's share, step {steps[row]}"
        )
        axes.plot(found["route_cosine"][row], style, color="tab:purple", ms=3, label=f"cosine, step {steps[row]}")
    axes.axhline(0.5, color="grey", lw=0.8)
    axes.axhline(0, color="grey", lw=0.8)
    low = np.nanmin(np.append(found["route_cosine"], 0))
    axes.set(ylim=(low - 0.05, 1.05), xlabel="residual connection (0 = input side)")
    axes.set_title("where the routes rejoin: skip against branch", fontsize=10)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7)


def _dead(axes: Any, found: Measurement) -> None:
    axes.bar(range(len(found.labels["block"])), found["dead_fraction"][-1], color="tab:grey")
    axes.set(ylim=(0, 1), ylabel="share of units", xlabel="block")
    axes.set_title("dead units", fontsize=10)
    _blocks(axes.xaxis, found)


def _updates(axes: Any, found: Measurement) -> None:
    for name, colour in (("gradient_ratio", "tab:red"), ("update_ratio", "tab:green")):
        axes.plot(_log10(found[name][-1]), "o-", color=colour, ms=3, label=name.replace("_", " "))
    axes.set(ylabel="log₁₀ ratio", xlabel="parameter (0 = input side)")
    axes.set_title(f"gradient and update relative to the weight, step {found.labels['step'][-1]}", fontsize=10)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=7)


def _histogram(figure: Any, axes: Any, found: Measurement) -> None:
    shares, edges = found["gradient_histogram"][-1], found["gradient_edges"]  # (block, bin)
    used = np.flatnonzero(np.nansum(shares, axis=0))
    low, high = (used[0], used[-1] + 1) if len(used) else (0, len(edges) - 1)
    image = axes.imshow(
        shares[:, low:high].T,
        aspect="auto",
        origin="lower",
        extent=(-0.5, len(shares) - 0.5, edges[low], edges[high]),
        cmap="viridis",
    )
    axes.set(xlabel="block", ylabel="log₁₀ |gradient| of an element")
    axes.set_title(f"how the gradient's elements are spread, step {found.labels['step'][-1]}", fontsize=10)
    _blocks(axes.xaxis, found)
    figure.colorbar(image, ax=axes, label="share")


def _heat(figure: Any, axes: Any, values: Array, steps: list[int], label: str, title: str) -> None:
    half = (steps[-1] - steps[0]) / (len(steps) - 1) / 2  # each column stands around its step
    extent = (steps[0] - half, steps[-1] + half, -0.5, len(values) - 0.5)
    image = axes.imshow(values, aspect="auto", origin="lower", cmap="magma", extent=extent)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    axes.set_title(title, fontsize=10)
    figure.colorbar(image, ax=axes, label=label)


def _blocks(axis: Any, found: Measurement) -> None:
    names = found.labels["block"]
    if len(names) <= 8 and max(map(len, names)) <= 12:
        axis.set_ticks(range(len(names)), [name or "model" for name in names], fontsize=7)
    else:
        axis.get_major_locator().set_params(integer=True)


def _log10(values: Array) -> Array:
    """NaN where there is no logarithm."""
    return np.log10(np.where(values > 0, values, np.nan))
