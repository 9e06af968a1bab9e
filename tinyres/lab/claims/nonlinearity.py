"""Popular claim: non-linear activations cause vanishing gradients.

A linear net's gradient can vanish too, and that of a critical tanh net does not. That of a sigmoid net vanishes at all
usual weights: chi = s_w2 E[sigma'^2] reaches 1 only at s_w2 = 103. Glorot & Bengio 2010
[glorot2010understanding], "Understanding the difficulty of training deep feedforward neural networks"; Schoenholz et
al. 2017 [schoenholz2017deep], "Deep information propagation".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.laws.e02_depth import Case, measure
from tinyres.lab.laws.e02_figure import against_theory

WIDTH, DEPTH, SEEDS = 256, 50, 4
SOURCE = "Schoenholz et al. 2017; Glorot & Bengio 2010"
SETTINGS = [
    Case("linear", 0.5),
    Case("tanh", 1.76, 0.05, label="tanh, critical"),
    Case("sigmoid", 1.0),
]


def run(options: Options, tick: Tick) -> Result:
    """Geometric means over four nets of 50 layers per setting."""
    logs: list[list[Any]] = [[] for _ in SETTINGS]
    for seed in range(SEEDS):
        weights = list(np.random.default_rng((options.seed, seed)).standard_normal((DEPTH, WIDTH, WIDTH)))
        for k, setting in enumerate(SETTINGS):
            logs[k].append(measure(setting, weights, np.random.default_rng((options.seed, seed, k))))
        tick()
    laws = []
    for setting, found in zip(SETTINGS, logs, strict=True):
        slopes = np.array(found)[:, -1] / DEPTH
        expected = np.log(setting.chi)
        name = f"{setting.name}: ln of gradient² per layer"
        laws.append(Law.of_mean(name, slopes, expected, SOURCE, room=0.01 + 0.03 * abs(expected)))
    linear, tanh, sigmoid = (float(np.exp(np.mean(found, axis=0)[-1])) for found in logs)
    apart = (np.array(logs[1]) - np.array(logs[0]))[:, -1] / np.log(10)
    name = f"orders of magnitude between tanh and linear after {DEPTH} layers"
    laws.append(Law.of_mean(name, apart, 12.0, SOURCE, kind="ordering"))
    below = 1 / 16 - np.exp(np.array(logs[2])[:, -1] / DEPTH)
    name = "sigmoid: χ below 1/16, its bound at s_w² = 1"
    laws.append(Law.of_mean(name, below, 0.0, "σ' <= 1/4", kind="ordering"))
    note = (
        f"Geometric means over {SEEDS} nets of width {WIDTH}. The linear net has weights of variance 1/2n, the tanh "
        "net those of its critical point."
    )
    told = (
        f"After {DEPTH} layers the squared gradient of a linear net is {linear:.1e} and that of a tanh net at "
        f"criticality {tanh:.2g}; the sigmoid net's is {sigmoid:.1e}. Gradients vanish without a nonlinearity and "
        "survive with one. With the sigmoid they vanish at all usual weights: χ is below 1 up to s_w² = 103."
    )
    curves = [np.mean(found, axis=0) / np.log(10) for found in logs]
    return Result(laws, figures={"": lambda figure: draw(figure, curves)}, note=note, found=told)


def draw(figure: Any, curves: list[Any]) -> None:
    """Squared gradient against depth: linear, tanh, sigmoid."""
    axes = figure.subplots()
    against_theory(axes, SETTINGS, curves)
    axes.set(ylim=(-66, 6))
    axes.set_title("The linear net vanishes, the tanh net does not (dots measured, lines χᴸ)")


EXPERIMENT = Experiment(
    name="claim-nonlinear",
    question="Do gradients vanish because activations are nonlinear?",
    claim="'non-linear activations cause vanishing gradients'",
    prediction="linear, s_w² = 1/2: 2⁻⁵⁰ = 8.9e-16 after 50 layers; tanh at criticality about flat; sigmoid <= 16⁻ᴸ",
    equation=r"\frac{|g_0|^2}{|g_L|^2} = \chi^L, \quad \chi = s_w^2 \; (\mathrm{linear}), \quad \le \frac{s_w^2}{16} \;"
    r" (\mathrm{sigmoid}), \quad 1 \; (\mathrm{critical})",
    source=SOURCE,
    ticks=lambda options: SEEDS,
    run=run,
    seconds=3,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"Wide nets at initialisation (width {WIDTH}). A geometric mean over nets of width n lies below the "
    "theory by (3κ - 1)/2n per layer to leading order, κ = E φ'⁴ / (E φ'²)², which is 1 for linear units: more "
    "than half of the tolerance for tanh at criticality, whose ln χ is 0.",
)
