"""The figures of E2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.figures import is_narrow, palette
from tinyres.flow.theory import mean_field
from tinyres.lab.depth import slope
from tinyres.lab.dots import dots_and_line

LOWEST = -34.0  # of the axis
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
COLOURS = {"tanh": palette.CASES[0], "sigmoid": palette.CASES[1], "relu": palette.CASES[2], "linear": palette.CASES[3]}


def draw(figure: Any, curves: Mapping[Any, Any]) -> None:
    """log10 gradient against depth with the theory's lines, and the depth scale against s_w^2; curves: by case."""
    left, right = figure.subplots(1, 2, width_ratios=[1.9, 1])
    colours = _colours(list(curves))
    ends: dict[str, float] = {}
    for k, (case, curve) in enumerate(curves.items()):
        depth, line = np.arange(len(curve)), case.gradient(len(curve) - 1) / np.log(10)
        shown = slice(k % 4, None, 4)
        dots = (depth[shown], curve[shown] / np.log(10))
        beside = "_" * (not is_narrow(figure)) + f"{case.name}, χ = {case.chi:.3g}"
        dots_and_line(left, dots, (depth, line), colours[case], beside, marker="os^D"[k % 4])
        text = f"{case.name}: predicted χ = {case.chi:.3g}"
        if is_narrow(figure):  # no room for words beside the lines
            continue
        if line[-1] > LOWEST:
            ends[text] = line[-1]
        else:
            inside = int(np.argmax(line < LOWEST + 2))
            power = f"{line[-1]:.0f}".translate(RAISED)
            left.text(inside + 1, LOWEST + 1, f"{text}, down to 10{power}", fontsize=8)
    for height, (text, end) in zip(_apart([*ends.values()]), ends.items(), strict=True):
        left.annotate(text, (depth[-1], end), (depth[-1] + 1.5, height), fontsize=8, va="center",
                      arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.7, "shrinkA": 0, "shrinkB": 0,
                                  "relpos": (0, 0.5)},
                      annotation_clip=False)  # fmt: skip
    left.set(xlabel="layers below the top", ylabel="log₁₀ of squared gradient, relative to the top", ylim=(LOWEST, 6),
             xlim=(-1, depth[-1] + 0.5))  # fmt: skip
    left.set_title("Plain nets: dots measured, lines χᴸ")
    if is_narrow(figure):
        left.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.43, -0.18), handlelength=1,
                    handletextpad=0.4, columnspacing=1)  # fmt: skip
    tanh = {case: curve for case, curve in curves.items() if case.activation == "tanh"}
    theory, s_b2 = next(iter(tanh)).theory, next(iter(tanh)).s_b2
    grid, scales = [], []
    for q in np.union1d(np.geomspace(0.06, 1.5, 100), np.linspace(0.53, 0.61, 400)):  # the peak is narrow
        grid.append(mean_field.weights_for(q, theory.value, s_b2))
        scales.append(mean_field.depth_scale(mean_field.chi(q, theory.slope, grid[-1])))
    right.semilogy(grid, scales, "k-", lw=1, label="theory")
    label = "measured"
    for case, curve in tanh.items():
        per_layer = abs(slope(curve))
        if per_layer > 0.01:
            right.semilogy(case.s_w2, 1 / per_layer, "o", color=colours[case], label=label)
            label = "_measured"  # one dot stands for all in the legend
        else:  # 40 layers cannot tell how far beyond 100 it is
            right.semilogy(case.s_w2, 100, "^", color=colours[case], label="measured: 100 or more")
    right.set(
        xlabel="s_w² (tanh, s_b² = 0.05)",
        ylabel="depth scale ξ in layers",
        ylim=(0.5, 1000),
        xlim=(0.2, 3.1),
    )
    right.set_title("How deep a gradient reaches")
    right.legend(fontsize=7)


def _colours(cases: Sequence[Any]) -> dict[Any, str]:
    """A colour for each activation, in shades by the variance of the weights."""
    found: dict[Any, str] = {}
    for activation in dict.fromkeys(case.activation for case in cases):
        alike = [case for case in cases if case.activation == activation]
        found |= {case: palette.shade(_colour(case), k, len(alike)) for k, case in enumerate(alike)}
    return found


def _colour(case: Any) -> str:
    return COLOURS.get(case.activation, palette.CASES[4])


def _apart(heights: Sequence[float], least: float = 1.7) -> list[float]:
    """The same heights moved apart, so that a line of text has room at each."""
    order = sorted(range(len(heights)), key=lambda k: -heights[k])
    placed = list(heights)
    top = max(heights, default=0) + least
    for k in order:
        top = placed[k] = min(placed[k], top - least)
    return placed


def draw_one(figure: Any, curves: Mapping[Any, Any]) -> None:
    """The gradient against depth for the one case that was asked about."""
    axes = figure.subplots()
    against_theory(axes, list(curves), [curve / np.log(10) for curve in curves.values()])
    axes.set_title("Plain nets: dots measured, line theory")


def against_theory(axes: Any, cases: Sequence[Any], curves: Sequence[Any]) -> None:
    """log10 of the squared gradient against depth: dots measured, lines theory; for the claims about this law, too."""
    for k, (case, curve) in enumerate(zip(cases, curves, strict=True)):
        layers = np.arange(len(curve))
        theory = case.gradient(len(curve) - 1)
        chi = np.exp(theory[-1] / layers[-1])  # its geometric mean where it is not constant
        label = f"{case.name}: predicted χ = {chi:.3g}"
        dots_and_line(axes, (layers[::2], curve[::2]), (layers, theory / np.log(10)), k, label)
    axes.set(xlabel="layers below the top", ylabel="log₁₀ of squared gradient, relative to the top")
    axes.legend(fontsize=9)
