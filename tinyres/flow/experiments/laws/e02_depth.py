"""E2: in a plain net the squared gradient changes by chi a layer, so by chi^L over the depth.

Glorot & Bengio 2010; He et al. 2015; Poole et al. 2016; Schoenholz et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.backend import device_of, to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.theory import mean_field

WIDTH, DEPTH, BATCH, SEEDS = 512, 40, 8, 5
SOURCE = "Poole et al. 2016; Schoenholz et al. 2017"


@dataclass(frozen=True)
class Setting:
    """An activation with the variances of weights (s_w2 / n) and biases (s_b2)."""

    label: str
    activation: Callable[[Any], Any]
    derivative: Callable[[Any], Any]
    s_w2: float
    s_b2: float = 0.0
    scale_free: bool = False  # phi(c x) = c phi(x): no fixed point, and chi does not depend on q

    @property
    def name(self) -> str:
        return f"{self.label}, s_w²={self.s_w2:g}"

    @cached_property
    def q(self) -> float:
        """The variance at which the net is started: the fixed point."""
        return 1.0 if self.scale_free else mean_field.fixed_point(self.activation, self.s_w2, self.s_b2)

    @cached_property
    def chi(self) -> float:
        return mean_field.chi(self.q, self.derivative, self.s_w2)


def _sigmoid_slope(x: Any) -> Any:
    return tr.sigmoid(x) * tr.sigmoid(-x)


def _step(x: Any) -> Any:
    return 1.0 * (x > 0)


SETTINGS = [
    *(Setting("tanh", tr.tanh, lambda x: 1 - np.tanh(x) ** 2, s, 0.05) for s in (0.5, 1.0, 1.5, 1.76, 2.5)),
    Setting("sigmoid", tr.sigmoid, _sigmoid_slope, 1.0),
    Setting("sigmoid", tr.sigmoid, _sigmoid_slope, 16.0),
    Setting("ReLU (Glorot)", tr.relu, _step, 1.0, scale_free=True),
    Setting("ReLU (He)", tr.relu, _step, 2.0, scale_free=True),
    Setting("linear", lambda x: x, np.ones_like, 0.5, scale_free=True),
]


def forward(setting: Setting, weights: list[Any], rng: np.random.Generator) -> list[Any]:
    """The pre-activations (BATCH, n) of layers 0, 1, ..., L of one random net."""
    width = weights[0].shape[0]
    x = rng.standard_normal((BATCH, width))
    device = device_of(weights[0])
    x = to_device(x * np.sqrt(setting.q / (x * x).mean(axis=1, keepdims=True)), device)
    h = tr.tensor(x, requires_grad=True)
    layers = [h]
    for w in weights:
        bias = to_device(np.sqrt(setting.s_b2) * rng.standard_normal(width), device)
        h = (setting.activation(h) @ w) * np.sqrt(setting.s_w2 / width) + bias
        layers.append(h)
    return layers


def backward(layers: list[Any], rng: np.random.Generator) -> Any:
    """log(|g_l|^2 / |g_L|^2) at the layers l = L, L-1, ..., 0, for a random cotangent on top."""
    top = to_device(rng.standard_normal(layers[-1].shape), layers[-1].device)
    gradients = tr.grad(layers[-1], layers, top)
    squared = np.array([float((g.numpy() ** 2).sum()) for g in gradients[::-1]])
    return np.log(squared / squared[0])


def measure(setting: Setting, weights: list[Any], rng: np.random.Generator) -> Any:
    """`backward` of `forward`."""
    return backward(forward(setting, weights, rng), rng)


def run(options: Options, tick: Tick) -> Result:
    """The slope of log squared gradient per layer, mean of five nets a setting, against log chi; the signal's q."""
    logs: dict[str, list[Any]] = {setting.name: [] for setting in SETTINGS}
    variances: dict[str, list[Any]] = {setting.name: [] for setting in SETTINGS}
    for seed in range(SEEDS):
        draws = np.random.default_rng((options.seed, seed))
        weights = [to_device(draws.standard_normal((WIDTH, WIDTH)), options.device) for _ in range(DEPTH)]
        for k, setting in enumerate(SETTINGS):  # the same matrices, scaled
            rng = np.random.default_rng((options.seed, seed, k))
            states = forward(setting, weights, rng)
            logs[setting.name].append(backward(states, rng))
            variances[setting.name].append(np.mean([(h.numpy() ** 2).mean() for h in states[1:]]))
            tick()
    layers = np.arange(DEPTH + 1)
    laws = []
    for setting in SETTINGS:
        curves = np.array(logs[setting.name])
        slope = np.polyfit(layers, curves.mean(axis=0), 1)[0]
        error = np.std([np.polyfit(layers, c, 1)[0] for c in curves], ddof=1) / np.sqrt(SEEDS)
        expected = np.log(setting.chi)
        tolerance = max(0.01 + 0.03 * abs(expected), 3 * error)
        laws.append(Law(f"{setting.name}: ln χ", slope, expected, tolerance, "asymptotic", SOURCE))
        if not setting.scale_free:
            q = np.array(variances[setting.name])
            tolerance = max(0.03 * setting.q, 3 * q.std(ddof=1) / np.sqrt(SEEDS))
            laws.append(Law(f"{setting.name}: q*", float(q.mean()), setting.q, tolerance, "asymptotic", SOURCE))
    note = "ln of the squared gradient's factor a layer; s_w²: variance of the weights times width; tanh: s_b² = 0.05; "
    note += "q*: variance of the pre-activations, mean over the layers"
    return Result(laws, [depth_scales(logs)], {"": lambda figure: draw(figure, logs)}, note=note)


def depth_scales(logs: dict[str, list[Any]]) -> Table:
    """xi of every setting."""
    rows = []
    for setting in SETTINGS:
        slope = float(np.polyfit(np.arange(DEPTH + 1), np.mean(logs[setting.name], axis=0), 1)[0])
        scale = f"{mean_field.depth_scale(setting.chi):,.2f}" if abs(np.log(setting.chi)) > 1e-6 else "∞"
        measured = f"{1 / abs(slope):.2f}" if abs(slope) > 0.01 else "100 or more"
        rows.append([setting.name, f"{setting.chi:.4g}", scale, measured])
    note = "Over ξ = 1 / |ln χ| layers the squared gradient changes by a factor e; 40 layers cannot tell more than 100."
    return Table("Depth scales", ["setting", "χ", "ξ by theory", "ξ measured"], rows, note)


def draw(figure: Any, logs: dict[str, list[Any]]) -> None:
    """log10 gradient against depth with the theory's lines, and the depth scale against s_w^2."""
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    depth = np.arange(DEPTH + 1)
    for k, setting in enumerate(SETTINGS):
        colour = f"C{k}"
        measured = np.mean(logs[setting.name], axis=0) / np.log(10)
        left.plot(depth, depth * np.log10(setting.chi), "-", color=colour, lw=1)
        left.plot(
            depth[k % 4 :: 4],
            measured[k % 4 :: 4],
            "os^D"[k % 4],
            color=colour,
            ms=3.5,
            label=f"{setting.name}: χ = {setting.chi:.3g}",
        )
    left.set(
        xlabel="layers below the top (the lowest line goes on down to 10⁻⁵⁰)",
        ylabel="log₁₀ of squared gradient, relative to the top",
        ylim=(-34, 6),
    )
    left.set_title("Plain nets: dots measured, lines χᴸ")
    left.legend(fontsize=7, loc="lower left")
    tanh = SETTINGS[0]
    grid, scales = [], []
    for q in np.union1d(np.geomspace(0.06, 1.5, 100), np.linspace(0.53, 0.61, 400)):  # the peak is narrow
        grid.append(mean_field.weights_for(q, tanh.activation, tanh.s_b2))
        scales.append(mean_field.depth_scale(mean_field.chi(q, tanh.derivative, grid[-1])))
    right.semilogy(grid, scales, "k-", lw=1, label="theory")
    for k, setting in enumerate(s for s in SETTINGS if s.label == "tanh"):
        slope = abs(np.polyfit(depth, np.mean(logs[setting.name], axis=0), 1)[0])
        if slope > 0.01:
            right.semilogy(setting.s_w2, 1 / slope, "o", color=f"C{k}")
        else:  # 40 layers cannot tell how far beyond 100 it is
            right.semilogy(setting.s_w2, 100, "^", color=f"C{k}", label="measured: 100 or more")
    right.set(
        xlabel="weight variance s_w² (tanh, s_b² = 0.05)",
        ylabel="depth scale ξ in layers",
        ylim=(0.5, 1000),
        xlim=(0.2, 3.1),
    )
    right.set_title("How deep a gradient reaches")
    right.legend(fontsize=7)


def against_theory(axes: Any, settings: Sequence[Setting], curves: Sequence[Any]) -> None:
    """log10 of the squared gradient against depth: dots measured, lines chi^L; for the claims about this law."""
    for k, (setting, curve) in enumerate(zip(settings, curves, strict=True)):
        layers = np.arange(len(curve))
        axes.plot(layers, layers * np.log10(setting.chi), "-", color=f"C{k}", lw=1)
        axes.plot(layers[::2], curve[::2], "o", color=f"C{k}", ms=4, label=f"{setting.name}: χ = {setting.chi:.3g}")
    axes.set(xlabel="layers below the top", ylabel="log₁₀ of squared gradient, relative to the top")
    axes.legend(fontsize=9)


EXPERIMENT = Experiment(
    name="E2",
    claim="plain nets: a layer multiplies the squared gradient by χ",
    prediction="|g_bottom|² / |g_top|² = χᴸ, χ = s_w² E[φ'(√q* z)²], q* the fixed point of the variance map",
    source=SOURCE,
    ticks=lambda options: SEEDS * len(SETTINGS),
    run=run,
    seconds=3,
    starred=True,
    devices=BOTH,
)
