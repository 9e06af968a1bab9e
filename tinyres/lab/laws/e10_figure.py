"""The picture of E10."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.flow.theory import recurrent
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, curves: Any, bounded: Any, paths: Any) -> None:
    """Gradient norm against steps back in time: linear nets, nonlinear ones with their bounds, the LSTM's cell."""
    linear, nonlinear, lstm = figure.subplots(1, 3)
    steps = np.arange(len(next(iter(curves.values()))))
    for k, (radius, found) in enumerate(curves.items()):
        half = len(steps) // 2  # the tail: its rate is the radius, its constant depends on the cotangent
        shift = found[half] / radius**half
        dots, line = (steps[::20], found[::20]), (steps, shift * radius**steps)
        dots_and_line(linear, dots, line, k, f"ρ = {radius:g}", log="y")
    linear.set(xlabel="steps back in time", ylabel="gradient norm", title="Linear RNN: lines ρᵀ")
    for k, ((nonlinearity, largest), found) in enumerate(bounded.items()):
        bound = recurrent.norm_bound(largest, nonlinearity, 1) ** steps
        dots, line = (steps[:41:4], found[:41:4]), (steps[:41], bound[:41])
        dots_and_line(nonlinear, dots, line, k, f"{nonlinearity}, s_max = {largest:g}", log="y")
    nonlinear.set(xlabel="steps back in time", title="Nonlinear RNN: lines are bounds", ylim=(1e-24, 1e13))
    for k, (bias, path) in enumerate(paths.items()):
        steps = np.arange(len(path))
        label = f"b_f = {bias:g}: halves in {recurrent.half_life(bias):.3g}"
        dots, line = (steps[::10], path[::10]), (steps, recurrent.cell_path(bias, 1) ** steps)
        dots_and_line(lstm, dots, line, k, label, log="y")
    lstm.set(xlabel="steps back in time", title="LSTM cell: lines σ(b_f)ᵀ")
    for axes in (linear, nonlinear, lstm):
        axes.legend(fontsize=8, loc="lower left")
