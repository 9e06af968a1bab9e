"""Plot what a `GameWatch` has seen, over the steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement

TRUSTED = 0.1  # of the largest eigenvalue: up to this residual an estimate is drawn


Chart = tuple[str, dict[str, Array], bool]


def charts(found: Measurement) -> dict[str, list[Chart]]:
    """By player: (title, lines by name, whether the axis is logarithmic). The game itself stands with D."""
    real, imag = trusted(found)
    gradients = {name.replace("_", " "): found["gradient"][:, i] for i, name in enumerate(found.labels["loss"])}
    eigenvalues = {
        "largest real part": _largest(real),
        "smallest real part": -_largest(-real),
        "largest imaginary part": _largest(imag),
    }
    change = {"consensus": found["consensus"], "rotation": found["turning"]}
    slopes = {
        "at real samples": found["slope_real"],
        "between": found["slope_between"],
        "at fakes": found["slope_fake"],
    }
    sure = {"pairs in which D is right": found["right"], "confidence": found["confidence"]}
    return {
        "D": [
            ("D's slope, mean |dD/dx|", slopes, False),
            ("how sure D is", sure, False),
            ("eigenvalues of the game's Jacobian", eigenvalues, False),
            ("the field's change along itself", change, True),
        ],
        "G": [("|gradient of G|, by loss", gradients, True)],
    }


def draw(figure: Any, found: Measurement) -> None:
    """Four panels: eigenvalues, the field's change, what reaches G beside D's confidence, and D's slope."""
    steps = np.array(found.labels["step"])
    panels = figure.subplots(2, 2)
    for axes, one in zip(panels.flat, (_eigenvalues, _change, _gradients, _slopes), strict=True):
        one(axes, steps, found)
    for axes in panels[1]:
        axes.set_xlabel("step of the generator")


def _eigenvalues(axes: Any, steps: Array, found: Measurement) -> None:
    real, imag = trusted(found)
    seen = ~np.isnan(real).all(axis=1)
    for values, colour, label in (
        (_largest(real), palette.BAD, "largest real part: above 0 it drives them apart"),
        (_largest(-real), palette.CASES[0], "smallest real part, with the other sign"),
        (_largest(imag), palette.CASES[3], "largest imaginary part: circling"),
    ):
        axes.plot(steps[seen], values[seen], ".-", color=colour, label=label)
    axes.axhline(0, color=palette.FAINT, lw=1)
    axes.set_yscale("symlog", linthresh=0.1)
    _finish(axes, "eigenvalues of the game's Jacobian", "of the outermost ones")


def trusted(found: Measurement) -> tuple[Array, Array]:
    """Real and absolute imaginary parts (steps, values) of the eigenvalues, NaN in the place of poor estimates."""
    real, imag = found["eigenvalue_real"], np.abs(found["eigenvalue_imag"])
    size = _largest(np.hypot(real, imag))[:, None]
    good = found["residual"] <= TRUSTED * size
    return np.where(good, real, np.nan), np.where(good, imag, np.nan)


def _change(axes: Any, steps: Array, found: Measurement) -> None:
    _line(axes, steps, found["consensus"], palette.CASES[0], "consensus, |Sv| / |v|")
    _line(axes, steps, found["turning"], palette.CASES[3], "rotation, |Av| / |v|")
    axes.set_yscale("log")
    _finish(axes, "the field's change along itself", "rate per unit of step size")


def _gradients(axes: Any, steps: Array, found: Measurement) -> None:
    marks = "osDv^<>"
    for i, name in enumerate(found.labels["loss"]):
        colour = palette.LOSSES.get(name, palette.G)
        values = found["gradient"][:, i]
        axes.plot(steps, np.where(values > 0, values, np.nan), f"{marks[i % 7]}-", ms=3, color=colour,
                  mfc="none" if name == "hinge" else None, label=name.replace("_", " "))  # fmt: skip
    axes.set_yscale("log")
    right = axes.twinx()
    right.plot(steps, found["right"], "--", color=palette.D, lw=1, label="D is right, of pairs")
    right.set(ylim=(0, 1.02), ylabel="share of pairs in which D is right")
    _finish(axes, "what reaches G, by loss", "|gradient of G|", right)


def _slopes(axes: Any, steps: Array, found: Measurement) -> None:
    _line(axes, steps, found["slope_real"], palette.D, "at real samples")
    _line(axes, steps, found["slope_between"], palette.FAINT, "between")
    _line(axes, steps, found["slope_fake"], palette.G, "at fakes")
    _finish(axes, "D's slope", "mean |dD/dx|")


def _line(axes: Any, steps: Array, values: Array, colour: str, label: str) -> None:
    axes.plot(steps, values, ".-", color=colour, label=label)


def _finish(axes: Any, title: str, label: str, other: Any = None) -> None:
    axes.set(ylabel=label)
    axes.set_title(title, fontsize=10)
    handles, names = axes.get_legend_handles_labels()
    if other is not None:
        more = other.get_legend_handles_labels()
        handles, names = handles + more[0], names + more[1]
    axes.legend(handles, names, fontsize=7)


def _largest(values: Array) -> Array:
    """The largest of each row, passing over NaN; NaN where there is nothing else."""
    found: Array = np.where(np.isnan(values), -np.inf, values).max(axis=1, initial=-np.inf)
    return np.where(np.isinf(found), np.nan, found)


__all__ = ["draw"]
