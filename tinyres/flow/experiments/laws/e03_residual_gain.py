"""E3: without normalisation a residual net multiplies signal and gradient by 1 + a^2 a block.

He et al. 2016, "Identity mappings in deep residual networks"; Hanin & Rolnick 2018.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.autograd.observe import Observer
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Tick

WIDTH, DEPTH, SEEDS = 256, 10, 20
SOURCE = "He et al. 2016; Hanin & Rolnick 2018"
CASES = [  # shortcut scale m, branch scale a, relative tolerance
    (1.0, 1.0, 0.25),
    (1.0, 0.5, 0.08),
    (1.0, DEPTH**-0.5, 0.08),
    (0.5, 0.5, 0.08),
    (0.0, 0.5, 0.08),  # the same blocks without their shortcut: a plain net
]


def block(x: Any, w1: Any, w2: Any, m: float, a: float, *, ends_in_relu: bool = False) -> Any:
    """m x + a F(x),  F(x) = relu(x W1) W2  with W1 ~ N(0, 2/n), W2 ~ N(0, 1/n): a branch of unit gain."""
    branch = tr.relu(x @ w1) @ w2
    if ends_in_relu:
        branch = tr.relu(branch) * np.sqrt(2.0)  # unit gain again, but no longer of mean zero
    return m * x + a * branch


def gains(m: float, a: float, seed: tuple[int, int], *, ends_in_relu: bool = False) -> Any:
    """Log squared signal over the input's, and log squared gradient over the top's, after 0 ... DEPTH blocks."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(rng.standard_normal((1, WIDTH)), requires_grad=True)
    states = [x]
    for _ in range(DEPTH):
        w1 = rng.standard_normal((WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
        w2 = rng.standard_normal((WIDTH, WIDTH)) * np.sqrt(1 / WIDTH)
        states.append(block(states[-1], w1, w2, m, a, ends_in_relu=ends_in_relu))
    gradients = tr.grad(states[-1], states, rng.standard_normal((1, WIDTH)))
    forward = np.log([float((s.numpy() ** 2).sum()) for s in states])
    backward = np.log([float((g.numpy() ** 2).sum()) for g in gradients])[::-1]
    return np.stack([forward - forward[0], backward - backward[0]])


def split_error(seed: int) -> float:
    """How far the two contributions at a block's input are from g and from the branch's vjp, written out by hand."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(rng.standard_normal((4, 64)), requires_grad=True)
    w1, w2 = (rng.standard_normal((64, 64)) / 8 for _ in range(2))
    found: list[Any] = []

    class AtInput(Observer):
        def on_edge(self, consumer: Any, arg_index: int, producer: Any, contribution: Any) -> None:
            if producer is x.node:
                found.append(contribution)

    y = tr.relu(x @ w1) @ w2 + x
    g = rng.standard_normal(y.shape)
    with AtInput():
        tr.grad(y, x, g)
    skip, branch = found
    by_hand = ((g @ w2.T) * (x.data @ w1 > 0)) @ w1.T
    return float(max(np.abs(skip - g).max(), np.abs(branch - by_hand).max()))


def run(options: Options, tick: Tick) -> Result:
    """Geometric means over 20 nets, forward and backward, and the exact split at one block."""
    laws, curves = [], {}
    for m, a, relative in CASES:
        logs = []
        for seed in range(SEEDS):
            logs.append(gains(m, a, (options.seed, seed)))
            tick()
        curves[m, a] = np.mean(logs, axis=0)
        predicted = (m * m + a * a) ** DEPTH
        for way, log in zip(("forward", "backward"), np.array(logs)[:, :, -1].T, strict=True):
            tolerance = predicted * max(relative, 3 * log.std(ddof=1) / np.sqrt(SEEDS))
            name = f"{way} gain, skip {m:g}, branch {a:.3g}"
            laws.append(Law(name, float(np.exp(log.mean())), predicted, tolerance, "asymptotic", SOURCE))
    broken = np.mean([gains(1.0, 0.5, (options.seed, s), ends_in_relu=True)[0, -1] for s in range(SEEDS)])
    tick()
    law = 1.25**DEPTH
    name = "forward gain, skip 1, branch 0.5 ending in ReLU"
    laws.append(Law(name, float(np.exp(broken)), law, 0.08 * law, "ordering", "derived: cross term of x and F(x)"))
    name = "split at the input, by hand: largest error"
    laws.append(Law(name, split_error(options.seed), 0.0, 1e-12, "exact", "He et al. 2016"))
    note = "What 10 blocks y = skip x + branch F(x) multiply the squared signal (forward) or gradient (backward) by."
    return Result(laws, figures={"": lambda figure: draw(figure, curves)}, note=note)


def _label(m: float, a: float) -> str:
    return f"skip {m:g}, branch {a:.3g}" if m else f"no skip, branch {a:.3g}: plain"


def draw(figure: Any, curves: dict[tuple[float, float], Any]) -> None:
    """Gain against depth, measured and predicted, forward and backward."""
    depth = np.arange(DEPTH + 1)
    ways = ("signal, forward", "gradient, backward")
    for k, (axes, way) in enumerate(zip(figure.subplots(1, 2, sharey=True), ways, strict=True)):
        for j, ((m, a), curve) in enumerate(curves.items()):
            axes.semilogy(depth, (m * m + a * a) ** depth, "-", color=f"C{j}", lw=1)
            axes.semilogy(depth, np.exp(curve[k]), "o", color=f"C{j}", ms=4, label=_label(m, a))
        axes.set(xlabel="residual blocks passed", title=f"Residual nets without normalisation: {way}")
    figure.axes[0].set_ylabel("gain: dots measured, lines (m² + a²)ᴸ")
    figure.axes[0].legend(fontsize=8)


EXPERIMENT = Experiment(
    name="E3",
    claim="residual nets without normalisation: a block multiplies signal and gradient by 1 + a²",
    prediction="(m² + a²)ᴸ both ways for y = m x + a F(x); exactly, dL/dx = g (F'(x) + I)",
    source=SOURCE,
    ticks=lambda options: SEEDS * len(CASES) + 1,
    run=run,
    seconds=2,
    starred=True,
)
