"""Popular claim: backpropagation itself keeps the gradients large, because it adjusts all layers together.

Backpropagation is the exact chain rule; it is the net that decides whether a gradient grows or shrinks. Poole et al.
2016 [poole2016exponential], "Exponential expressivity in deep neural networks through transient chaos"; Schoenholz et
al. 2017 [schoenholz2017deep], "Deep information propagation".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.lab.depth import slope
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.laws.e02_depth import Case, measure
from tinyres.lab.laws.e02_figure import against_theory

WIDTH, DEPTH, SEEDS = 256, 40, 4
SOURCE = "Poole et al. 2016; Schoenholz et al. 2017"
SETTINGS = [Case("tanh", s, 0.05) for s in (0.5, 1.0, 1.76, 2.5)]


def exactness(seed: int) -> tuple[float, float]:
    """A directional derivative of a net 40 layers deep, whose gradient vanishes: reverse mode, then a complex step."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((DEPTH, 64, 64)) * np.sqrt(0.5 / 64)
    x, along, g = rng.standard_normal((3, 1, 64))
    start = tr.tensor(x, requires_grad=True)
    h, stepped = start, x + 1e-30j * along
    for w in weights:
        h, stepped = tr.tanh(h) @ w, np.tanh(stepped) @ w
    (gradient,) = tr.grad(h, start, g)
    return float((gradient.numpy() * along).sum()), float((g * stepped).sum().imag / 1e-30)


def run(options: Options, tick: Tick) -> Result:
    """The same net, the same backpropagation, four variances of the weights."""
    logs: list[list[Any]] = [[] for _ in SETTINGS]
    for seed in range(SEEDS):
        weights = list(np.random.default_rng((options.seed, seed)).standard_normal((DEPTH, WIDTH, WIDTH)))
        for k, setting in enumerate(SETTINGS):
            logs[k].append(measure(setting, weights, np.random.default_rng((options.seed, seed, k))))
        tick()
    laws = []
    for setting, found in zip(SETTINGS, logs, strict=True):
        slopes = [slope(curve) for curve in found]
        expected = np.log(setting.chi)
        room = 0.01 + 0.03 * abs(expected)
        laws.append(Law.of_mean(f"{setting.name}: ln χ", slopes, expected, SOURCE, room=room))
    reverse, stepped = exactness(options.seed)
    name = "the vanishing gradient itself, reverse mode over complex step"
    laws.append(Law(name, reverse / stepped, 1.0, 1e-9, "check", "the chain rule"))
    curves = [np.mean(found, axis=0) / np.log(10) for found in logs]
    note = (
        f"One net of {DEPTH} layers, one algorithm; only the variance of the weights differs. A complex step has no "
        "rounding error of its own."
    )
    least, most = (10 ** float(curve[-1]) for curve in (curves[0], curves[-1]))
    told = (
        f"In one net of {DEPTH} layers the same backpropagation gives a squared gradient of {least:.1e} or of "
        f"{most:.0f}, depending on the weights' variance. The vanishing one is correct to "
        f"{abs(reverse / stepped - 1):.0e}: backpropagation computes it faithfully and does nothing to keep it large."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, curves)}, note=note, found=told)


def draw(figure: Any, curves: list[Any]) -> None:
    """Squared gradient against depth for each variance of the weights."""
    axes = figure.subplots()
    against_theory(axes, SETTINGS, curves)
    axes.set_title("The same net and the same backpropagation: χᴸ decides (dots measured, lines theory)")


EXPERIMENT = Experiment(
    name="claim-backprop",
    question="Does backpropagation itself keep gradients large because it adjusts all layers together?",
    claim="'backpropagation itself keeps the gradients large'",
    prediction="with an exact backward pass the squared gradient is χᴸ: 10⁻¹⁵ or 10² in the same net",
    equation=r"\frac{|g_0|^2}{|g_L|^2} = \chi^L, \quad \chi = s_w^2 \, E \left[ \phi'(\sqrt{q^*} z)^2 \right]",
    source=SOURCE,
    ticks=lambda options: SEEDS,
    run=run,
    seconds=3,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"Wide tanh nets at initialisation (width {WIDTH}), with biases of variance 0.05.",
)
