"""Plot a recorded history: norms, gradients over steps, routes and histograms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.figures import palette, whole
from tinyres.files import legible
from tinyres.flow.measurement import Measurement

NAMED = 24  # blocks; of more than so many, the names would lie over each other, and only some are written


def history(figure: Any, found: Measurement, not_finite: str | None = None) -> None:
    """Plot norms by block, gradients over the steps, the routes, and the last step's gradient histogram.

    Blocks, connections and parameters are numbered from 1 at the input side. Quantities that were not recorded get no
    panel.
    """
    several = len(found.labels["step"]) > 1
    over_steps = several and _any(found["backward_norm"])
    candidates: list[tuple[bool, Callable[[Any, Any, Measurement], None]]] = [
        (_any(found["forward_norm"]) or _any(found["backward_norm"]), _norms),
        (over_steps, _heat),
        (not over_steps and _any(found["dead_fraction"][-1]), _dead),
        (_any(found["skip_share"]), _routes),
        (not _any(found["skip_share"]) and (_any(found["gradient_ratio"][-1])), _updates),
        (bool(np.nansum(found["gradient_histogram"][-1])), _histogram),
    ]
    chosen = [draw for wanted, draw in candidates if wanted]
    if chosen:
        rows, columns = (1, len(chosen)) if len(chosen) < 3 else (2, 2)
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes in panels[len(chosen) :]:
            axes.remove()
        for draw, axes in zip(chosen, panels, strict=False):
            draw(figure, axes, found)
    else:
        figure.text(0.5, 0.5, "no block ran in the recorded steps", ha="center", va="center", color="grey")
    if not_finite:
        figure.suptitle(f"not finite first at {not_finite}", color=palette.BAD, fontsize=10)


def _norms(figure: Any, axes: Any, found: Measurement) -> None:
    steps = found.labels["step"]
    ways = (("forward", palette.CASES[0], "output"), ("backward", palette.CASES[1], "gradient"))
    for row, style in _first_and_last(found):
        for name, colour, label in ways:
            values = _log10(found[f"{name}_norm"][row])
            series(axes, values, style, color=colour, label=f"|{label}|, step {steps[row]}")
    axes.set(ylabel="log₁₀ norm", xlabel="block (1 = input side)")
    axes.set_title("norms at the blocks' outputs", fontsize=10)
    name_blocks(axes, found.labels["block"])
    _legend(axes)


def _heat(figure: Any, axes: Any, found: Measurement) -> None:
    steps, values = found.labels["step"], _log10(found["backward_norm"]).T
    half = (steps[-1] - steps[0]) / (len(steps) - 1) / 2  # each column is centred on its step
    extent = (steps[0] - half, steps[-1] + half, len(values) + 0.5, 0.5)  # the input side on top, as in run.html
    image = axes.imshow(values, aspect="auto", cmap=palette.norms(), extent=extent)
    whole(axes.xaxis)
    axes.set(xlabel="recorded step", ylabel="block (1 = input side)")
    name_blocks(axes, found.labels["block"], up=True)
    axes.invert_yaxis()
    axes.set_title("the gradient over the steps", fontsize=10)
    figure.colorbar(image, ax=axes, label="log₁₀ |gradient|")


def _routes(figure: Any, axes: Any, found: Measurement) -> None:
    steps = found.labels["step"]
    for row, style in _first_and_last(found):
        series(
            axes,
            found["skip_share"][row],
            style,
            color=palette.SKIP,
            label=f"|skip| / (|skip| + |branch|), step {steps[row]}",
        )
        series(axes, found["route_cosine"][row], style, color=palette.CASES[0], label=f"cosine, step {steps[row]}")
    axes.axhline(0.5, color="grey", lw=0.8)
    axes.axhline(0, color="grey", lw=0.8)
    low = np.nanmin(np.append(found["route_cosine"], 0))
    axes.set(ylim=(low - 0.05, 1.05), xlabel="residual connection (1 = input side)")
    axes.set_title("where the routes rejoin: skip connection and branch", fontsize=10)
    name_blocks(axes, found.labels["residual"], "residual connection")
    _legend(axes)


def _dead(figure: Any, axes: Any, found: Measurement) -> None:
    series(axes, found["dead_fraction"][-1], "o", color=palette.FAINT, label="")
    axes.set(ylim=(-0.05, 1.05), ylabel="share of units", xlabel="block (1 = input side)")
    axes.set_title(f"dead units, step {found.labels['step'][-1]}", fontsize=10)
    name_blocks(axes, found.labels["block"])


def _updates(figure: Any, axes: Any, found: Measurement) -> None:
    for name, colour in (("gradient_ratio", palette.CASES[1]), ("update_ratio", palette.CASES[2])):
        series(axes, _log10(found[name][-1]), "o-", color=colour, label=name.replace("_", " "))
    axes.set(ylabel="log₁₀ ratio", xlabel="parameter (1 = input side)")
    name_blocks(axes, found.labels["parameter"], "parameter")
    axes.set_title(f"gradient and update relative to the weight, step {found.labels['step'][-1]}", fontsize=10)
    _legend(axes)


def _histogram(figure: Any, axes: Any, found: Measurement) -> None:
    shares, edges = found["gradient_histogram"][-1], found["gradient_edges"]  # (block, bin)
    used = np.flatnonzero(np.nansum(shares, axis=0))
    low, high = (used[0], used[-1] + 1) if len(used) else (0, len(edges) - 1)
    image = axes.imshow(
        shares[:, low:high].T,
        aspect="auto",
        origin="lower",
        extent=(0.5, len(shares) + 0.5, edges[low], edges[high]),
        cmap="viridis",
    )
    axes.set(xlabel="block (1 = input side)", ylabel="log₁₀ |gradient| of an element")
    axes.set_title(f"histogram of the gradient's elements, step {found.labels['step'][-1]}", fontsize=10)
    name_blocks(axes, found.labels["block"])
    figure.colorbar(image, ax=axes, label="share")


def series(axes: Any, values: Array, style: str, **kwargs: Any) -> None:
    """Plot values against 1, 2, ...; if none is finite, plot nothing and add no legend entry."""
    if _any(values):
        axes.plot(np.arange(1, len(values) + 1), values, style, ms=3, **kwargs)


def _legend(axes: Any) -> None:
    """Put the legend beside the panel, where it hides no data."""
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)


def _first_and_last(found: Measurement) -> list[tuple[int, str]]:
    return [(0, "o-"), (-1, "s--")][: min(len(found.labels["step"]), 2)]


def name_blocks(axes: Any, blocks: Iterable[str], what: str = "block", *, up: bool = False) -> None:
    """Label blocks (or what else the axis has) by name, by number where the names are numbers; `up`: the vertical axis.

    Of many names only every second is written, or every third, and so on; the axis says so.
    """
    names = [name or "model" for name in blocks]
    axis = axes.yaxis if up else axes.xaxis
    count(axis, len(names))
    if all(re.fullmatch(r"(blocks\.)?\d+", name) for name in names):
        return
    each = -(-len(names) // NAMED)
    level = up or (len(names) <= 8 and max(map(len, names)) <= 12)
    turned = {} if level else {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    axis.set_ticks(range(1, len(names) + 1, each), literal(names[::each]), fontsize=7, **turned)
    axis.set_label_text(what if each == 1 else f"{what} (one in {each} is named)")


def count(axis: Any, number: int) -> None:
    """Ticks at whole numbers from 1."""
    axis.axes.set(**{f"{axis.axis_name}lim": (0.5, number + 0.5)})
    whole(axis)


def _any(values: Array) -> bool:
    return bool(np.isfinite(values).any())


def _log10(values: Array) -> Array:
    """log10, with NaN for values that are not positive."""
    return np.log10(np.where(values > 0, values, np.nan))


def literal(names: Iterable[str]) -> list[str]:
    """Escape names so that Matplotlib prints them literally, not as formulas, and without invalid characters."""
    return [legible(name).replace("$", r"\$") for name in names]
