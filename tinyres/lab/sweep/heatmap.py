"""A heat map of a sweep: one metric over two axes, averaged over the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.lab.sweep.grid import varying
from tinyres.lab.sweep.point import Finding
from tinyres.lab.sweep.results import Results
from tinyres.training.recipe import Recipe

METRICS = {  # field of a finding: (in words, colours, format)
    "accuracy": ("test accuracy", "viridis", ".0%"),
    "train_loss": ("training loss in nats", "viridis_r", ".2f"),
    "test_loss": ("test loss in nats", "viridis_r", ".2f"),
    "gradient": ("log10 of |g first block| / |g last block|, step 0", "RdBu", ".2f"),
}
Known = Results | Mapping[Recipe, Finding]
MOST_FIGURES = 150  # with more cells than this, no numbers are printed in them


@dataclass(frozen=True)
class Mean:
    """Mean over the points that did not diverge, with counts; NaN if there are none."""

    value: float
    ok: int
    diverged: int


def mean(recipes: Sequence[Recipe], results: Known, metric: str, axes: Sequence[str]) -> dict[tuple[Any, ...], Mean]:
    """{values of the axes: the metric's mean over all points that share them}, without unfinished points.

    `gradient` is measured at step 0, so it includes diverged points.
    """
    groups: dict[tuple[Any, ...], list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(tuple(getattr(recipe, axis) for axis in axes), []).append(recipe)
    found = {}
    for place, members in groups.items():
        findings = [results[recipe] for recipe in members if recipe in results]
        ok = sum(finding.status == "ok" for finding in findings)
        values = [value for value in (getattr(finding, metric) for finding in findings) if not math.isnan(value)]
        found[place] = Mean(sum(values) / len(values) if values else math.nan, ok, len(findings) - ok)
    return found


def choose(recipes: Sequence[Recipe], x: str | None, y: str | None) -> tuple[str, str | None, str | None]:
    """Choose axes for columns, rows and panels: x and y if given, else the longest; seeds are averaged if possible.

    Architectures become panels, unless they are needed as an axis.
    """
    axes = varying(recipes)
    order = sorted((axis for axis in axes if axis not in ("arch", "seed")), key=lambda axis: -len(axes[axis]))
    order += [axis for axis in ("arch", "seed") if axis in axes]
    rest = [axis for axis in order if axis not in (x, y)]
    columns = x or (rest.pop(0) if rest else "seed")
    if y is None and (x is not None or "seed" not in rest[:1]):
        y = rest.pop(0) if rest else None
    return columns, y, "arch" if "arch" in axes and "arch" not in (columns, y) else None


def heatmap(
    recipes: Sequence[Recipe], results: Known, metric: str = "accuracy", x: str | None = None, y: str | None = None
) -> Any:
    """A matplotlib heat map of the metric over two axes: one panel per architecture, hatched where points diverged.

    Args:
        recipes: the grid.
        results: the finished points.
        metric: a name in `METRICS`.
        x, y: axes of the grid; None: see `choose`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    words, colours, _ = METRICS[metric]
    columns, rows, panels = choose(recipes, x, y)
    axes = [columns, *([rows] if rows else [])]
    values = {axis: list(dict.fromkeys(getattr(recipe, axis) for recipe in recipes)) for axis in axes}
    split = {name: [r for r in recipes if r.arch == name] for name in dict.fromkeys(r.arch for r in recipes)}
    shown = split if panels else {"": list(recipes)}
    found = {name: mean(members, results, metric, axes) for name, members in shown.items()}

    wide, high = len(values[columns]), len(values[rows]) if rows else 1
    across = 2 if len(shown) == 4 else min(len(shown), 3)
    down = math.ceil(len(shown) / across)
    size = (max(5.5, across * (1.3 + 0.75 * min(wide, 14)) + 1.2), down * (1.1 + 0.5 * min(high, 14)) + 1.2)
    figure = Figure(figsize=size, dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    finite = [cell.value for cells in found.values() for cell in cells.values() if math.isfinite(cell.value)]
    low, top = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if metric == "gradient":  # white: the gradient neither grows nor shrinks
        top = max(abs(low), abs(top)) or 1.0
        low = -top
    if low == top:
        low, top = low - 0.5, top + 0.5
    grids = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat
    image: Any = None
    for panel, (name, cells) in zip(grids, found.items(), strict=False):
        matrix = np.full((high, wide), np.nan)
        for place, cell in cells.items():
            matrix[_at(place, values)] = cell.value
        panel.set_facecolor("0.85")
        image = panel.imshow(np.ma.masked_invalid(matrix), cmap=colours, vmin=low, vmax=top, aspect="auto")
        for place, cell in cells.items():
            _mark(panel, *_at(place, values), cell, metric, image, wide * high * len(found) <= MOST_FIGURES)
        panel.set_xticks(range(wide), [_text(value) for value in values[columns]], rotation=45 if wide > 8 else 0)
        panel.set_yticks(*(range(high), [_text(value) for value in values[rows]]) if rows else ([],))
        panel.set(xlabel=columns, ylabel=rows or "", title=name)
        panel.label_outer()
    for panel in list(figure.axes)[len(found) :]:
        panel.remove()
    figure.colorbar(image, ax=figure.axes, label=words)
    others = [axis for axis in varying(recipes) if axis not in (columns, rows, panels)]
    figure.suptitle(f"{words}\nmean over {', '.join(others)}" if others else words, fontsize=11)
    return figure


def _at(place: tuple[Any, ...], values: dict[str, list[Any]]) -> tuple[int, int]:
    """Row and column."""
    column, *row = (known.index(value) for value, known in zip(place, values.values(), strict=True))
    return (row[0] if row else 0), column


def _mark(panel: Any, row: int, column: int, cell: Mean, metric: str, image: Any, roomy: bool) -> None:
    from matplotlib.patches import Rectangle

    if cell.diverged:
        panel.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, hatch="///", edgecolor="tab:red", linewidth=0)
        )
    if not roomy:
        return
    points = cell.ok + cell.diverged
    text = "" if math.isnan(cell.value) else format(cell.value, METRICS[metric][2])
    if cell.diverged:
        text += f"\n{cell.diverged} of {points} div." if points > 1 else "\ndiverged"
    red, green, blue, _ = image.cmap(image.norm(cell.value)) if math.isfinite(cell.value) else (1, 1, 1, 1)
    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0} if cell.diverged else None
    colour = "white" if dark and box is None else "black"
    panel.text(column, row, text.strip() or "-", ha="center", va="center", fontsize=8, color=colour, bbox=box)


def _text(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
