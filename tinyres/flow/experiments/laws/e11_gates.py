"""E11: a gate decides what a layer hands on: (1 - T)^2 + T^2 in a Highway net, 1 + a^2/4 with squeeze-and-excitation.

Srivastava et al. 2015, "Training very deep networks"; Hu et al. 2018, "Squeeze-and-excitation networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Tick
from tinyres.flow.theory import gates

WIDTH, DEPTH, BATCH, SEEDS = 128, 50, 8, 50
BIASES = (0.0, -1.0, -2.0, -3.0, -4.0)
BLOCKS, POSITIONS = 10, 4  # of the nets with squeeze-and-excitation
EXCITED = [(1.0, 1.0), (0.5, 1.0), (1.0, 0.0)]  # branch scale a, skip: without a skip it is a plain net
HIGHWAY, SE = "Srivastava et al. 2015; the gain: derived", "Hu et al. 2018; the gain: derived"


def highway(x: Any, w1: Any, w2: Any, gate: Any, bias: float) -> Any:
    """T H(x) + (1 - T) x with T = sigmoid(x W + b), H(x) = relu(x W1) W2."""
    t = tr.sigmoid(x @ gate + bias)
    return t * (tr.relu(x @ w1) @ w2) + (1 - t) * x


def excited(x: Any, w1: Any, w2: Any, squeeze: Any, excite: Any, a: float, skip: float) -> Any:
    """skip x + a s F(x) on images (N, positions, C), s = sigmoid(relu(mean of F over positions W_s) W_e): (N, 1, C)."""
    f = tr.relu(x @ w1) @ w2
    s = tr.sigmoid(tr.relu(tr.mean(f, axis=1, keepdims=True) @ squeeze) @ excite)
    return skip * x + a * s * f


def branches(rng: np.random.Generator, depth: int) -> list[tuple[Any, Any]]:
    """W1 ~ N(0, 2/n), W2 ~ N(0, 1/n): branches of unit gain that end in a linear map."""
    first, second = (
        rng.standard_normal((2, depth, WIDTH, WIDTH)) * np.sqrt(np.array([2, 1]) / WIDTH)[:, None, None, None]
    )
    return list(zip(first, second, strict=True))


def backward(states: list[Any], rng: np.random.Generator) -> Any:
    """|g_l|^2 / |g_top|^2 of each sample, l layers below the top: (layers + 1, N), for a random cotangent on top."""
    gradients = tr.grad(states[-1], states, rng.standard_normal(states[-1].shape))
    squared = np.array([(g.numpy() ** 2).reshape(len(g.numpy()), -1).sum(axis=1) for g in gradients[::-1]])
    return squared / squared[0]


def highway_nets(options: Options, tick: Tick) -> Any:
    """Squared gradients (bias, layer, sample) of random Highway nets whose gate weights are zero."""
    zero = np.zeros((WIDTH, WIDTH))
    found: list[Any] = []
    for seed in range(SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        weights = branches(rng, DEPTH)
        x = rng.standard_normal((BATCH, WIDTH))
        curves = []
        for bias in BIASES:
            states = [tr.tensor(x, requires_grad=True)]
            for w1, w2 in weights:
                states.append(highway(states[-1], w1, w2, zero, bias))
            curves.append(backward(states, rng))
        found.append(curves)
        tick()
    return np.concatenate(found, axis=2)


def excited_nets(options: Options, tick: Tick) -> Any:
    """Squared gradients (setting, block, sample) of nets whose excitation ends in zeros."""
    found: list[Any] = []
    for seed in range(SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        weights = branches(rng, BLOCKS)
        squeeze = rng.standard_normal((WIDTH, WIDTH // 4)) * np.sqrt(2 / WIDTH)
        excite = np.zeros((WIDTH // 4, WIDTH))
        x = rng.standard_normal((BATCH, POSITIONS, WIDTH))
        curves = []
        for a, skip in EXCITED:
            states = [tr.tensor(x, requires_grad=True)]
            for w1, w2 in weights:
                states.append(excited(states[-1], w1, w2, squeeze, excite, a, skip))
            curves.append(backward(states, rng))
        found.append(curves)
        tick()
    return np.concatenate(found, axis=2)


def average(samples: Any) -> tuple[float, float]:
    """Mean and its relative standard error, between nets: samples of one net share its weights."""
    nets = samples.reshape(SEEDS, BATCH).mean(axis=1)
    return float(nets.mean()), float(nets.std(ddof=1) / np.sqrt(SEEDS) / nets.mean())


def run(options: Options, tick: Tick) -> Result:
    """Arithmetic means over samples and nets (exact at any width, where geometric means are lower)."""
    gradients = highway_nets(options, tick)
    laws = []
    for bias, curve in zip(BIASES, gradients, strict=True):
        gain = gates.highway_gain(bias)
        mean, error = average(curve[-1])
        measured = mean ** (1 / DEPTH)
        laws.append(
            Law(f"Highway, b={bias:g}: squared gain a layer", measured, gain, 0.03 * gain, "asymptotic", HIGHWAY)
        )
        norm = gain ** (DEPTH / 2)
        tolerance = norm * max(0.03, 1.5 * error)  # 3 standard errors of the square are 1.5 of the norm
        name = f"Highway, b={bias:g}: gradient norm after {DEPTH} layers"
        laws.append(Law(name, mean**0.5, norm, tolerance, "asymptotic", HIGHWAY))
    for (a, skip), curve in zip(EXCITED, excited_nets(options, tick), strict=True):
        gain = gates.excitation_gain(a, skip)
        measured = average(curve[-1])[0] ** (1 / BLOCKS)
        name = f"SE, {f'residual, a={a:g}' if skip else 'plain'}: squared gain a block"
        laws.append(Law(name, measured, gain, 0.03 * gain, "asymptotic", SE))
    note = (
        f"Arithmetic means over {SEEDS} nets of {BATCH} samples, width {WIDTH}. Highway: zero gate weights, T = σ(b). "
        "SE: the last layer of the excitation is zero, so s = 1/2. Gates that begin closed (b < 0) keep the gradient."
    )
    norms = np.sqrt(gradients.mean(axis=2))
    return Result(laws, figures={"": lambda figure: draw(figure, norms)}, data={"norms": norms.tolist()}, note=note)


def draw(figure: Any, norms: Any) -> None:
    """Norm of the gradient against depth for each bias; norm after all layers against the bias."""
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    depth = np.arange(DEPTH + 1)
    for k, (bias, norm) in enumerate(zip(BIASES, norms, strict=True)):
        left.semilogy(depth, gates.highway_gain(bias) ** (depth / 2), "-", color=f"C{k}", lw=1)
        label = f"b = {bias:g}: T = {gates.sigmoid(bias):.3f}"
        left.semilogy(depth[::5], norm[::5], "o", color=f"C{k}", ms=4, label=label)
        right.semilogy(bias, norm[-1], "o", color=f"C{k}")
    left.set(xlabel="Highway layers below the top", ylabel="gradient norm, relative to the top")
    left.set_title("Highway nets: dots measured, lines ((1 − T)² + T²)^(layers / 2)")
    left.legend(fontsize=8)
    grid = np.linspace(-6, 6, 200)
    right.semilogy(grid, [gates.highway_gain(b) ** (DEPTH / 2) for b in grid], "k-", lw=1)
    right.set(xlabel="bias b of the gate", ylabel=f"gradient norm after {DEPTH} layers")
    right.set_title("Half open is worst: b = 0")


EXPERIMENT = Experiment(
    name="E11",
    claim="gates: how far they stand open at the start decides whether a gradient gets through",
    prediction="squared gain (1 − T)² + T² a Highway layer, T = σ(b); 1 + a²/4 a residual SE block, 1/4 a plain one",
    source="Srivastava et al. 2015; Hu et al. 2018; the gains are derived",
    ticks=lambda options: 2 * SEEDS,
    run=run,
    seconds=4,
)
