"""The figures of E2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.flow.theory import mean_field
from tinyres.lab.depth import slope
from tinyres.lab.dots import dots_and_line


def draw(figure: Any, curves: Mapping[Any, Any]) -> None:
    """log10 gradient against depth with the theory's lines, and the depth scale against s_w^2; curves: by case."""
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    for k, (case, curve) in enumerate(curves.items()):
        depth = np.arange(len(curve))
        shown, label = slice(k % 4, None, 4), f"{case.name}: χ = {case.chi:.3g}"
        dots, line = (depth[shown], curve[shown] / np.log(10)), (depth, case.gradient(len(curve) - 1) / np.log(10))
        dots_and_line(left, dots, line, k, label, marker="os^D"[k % 4])
    left.set(
        xlabel="layers below the top (the lowest line goes on down to 10⁻⁵⁰)",
        ylabel="log₁₀ of squared gradient, relative to the top",
        ylim=(-34, 6),
    )
    left.set_title("Plain nets: dots measured, lines χᴸ")
    left.legend(fontsize=7, loc="lower left")
    tanh = {case: curve for case, curve in curves.items() if case.activation == "tanh"}
    theory, s_b2 = next(iter(tanh)).theory, next(iter(tanh)).s_b2
    grid, scales = [], []
    for q in np.union1d(np.geomspace(0.06, 1.5, 100), np.linspace(0.53, 0.61, 400)):  # the peak is narrow
        grid.append(mean_field.weights_for(q, theory.value, s_b2))
        scales.append(mean_field.depth_scale(mean_field.chi(q, theory.slope, grid[-1])))
    right.semilogy(grid, scales, "k-", lw=1, label="theory")
    for k, (case, curve) in enumerate(tanh.items()):
        per_layer = abs(slope(curve))
        if per_layer > 0.01:
            right.semilogy(case.s_w2, 1 / per_layer, "o", color=f"C{k}")
        else:  # 40 layers cannot tell how far beyond 100 it is
            right.semilogy(case.s_w2, 100, "^", color=f"C{k}", label="measured: 100 or more")
    right.set(
        xlabel="weight variance s_w² (tanh, s_b² = 0.05)",
        ylabel="depth scale ξ in layers",
        ylim=(0.5, 1000),
        xlim=(0.2, 3.1),
    )
    right.set_title("How deep a gradient reaches")
    right.legend(fontsize=7)


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
        label = f"{case.name}: χ = {np.exp(theory[-1] / layers[-1]):.3g}"  # its geometric mean where it is not constant
        dots_and_line(axes, (layers[::2], curve[::2]), (layers, theory / np.log(10)), k, label)
    axes.set(xlabel="layers below the top", ylabel="log₁₀ of squared gradient, relative to the top")
    axes.legend(fontsize=9)
