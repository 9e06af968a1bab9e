"""E3: without normalisation a residual net multiplies signal and gradient by 1 + a^2 a block.

He et al. 2016, "Identity mappings in deep residual networks"; Hanin & Rolnick 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.autograd.observe import Observer
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.instruments.paths import paths

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


@dataclass(frozen=True)
class Draw:
    """What is random about one net: its input and cotangent (1, WIDTH), and W1, W2 of each block."""

    x: Any
    weights: Any
    g: Any

    @classmethod
    def of(cls, seed: tuple[int, int]) -> Draw:
        rng = np.random.default_rng(seed)
        scale = np.sqrt(np.array([2, 1]) / WIDTH)[:, None, None]
        x, g = rng.standard_normal((2, 1, WIDTH))
        return cls(x, rng.standard_normal((DEPTH, 2, WIDTH, WIDTH)) * scale, g)


def gains(m: float, a: float, draw: Draw, *, ends_in_relu: bool = False) -> Any:
    """Log squared signal over the input's, and log squared gradient over the top's, after 0 ... DEPTH blocks."""
    states = [tr.tensor(draw.x, requires_grad=True)]
    for w1, w2 in draw.weights:
        states.append(block(states[-1], w1, w2, m, a, ends_in_relu=ends_in_relu))
    gradients = tr.grad(states[-1], states, draw.g)
    forward = np.log([float((s.numpy() ** 2).sum()) for s in states])
    backward = np.log([float((g.numpy() ** 2).sum()) for g in gradients])[::-1]
    return np.stack([forward - forward[0], backward - backward[0]])


def by_shortcuts(m: float, a: float, draw: Draw) -> float:
    """The squared gradient that comes through all shortcuts and no branch, over the top's: a term of the exact sum."""
    x = h = tr.tensor(draw.x, requires_grad=True)
    for w1, w2 in draw.weights:
        h = block(h, w1, w2, m, a)
        h.node.roles = ("skip", "branch")
    return float(paths(h, x, draw.g)["norm"][0] ** 2 / (draw.g**2).sum())


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
    """Geometric means over 20 nets, forward and backward; exactly: the shortcuts alone, and the split at one block."""
    logs: dict[tuple[float, float], list[Any]] = {(m, a): [] for m, a, _ in CASES}
    ending_in_relu, alone = [], {}
    for seed in range(SEEDS):
        drawn = Draw.of((options.seed, seed))  # the same net for all cases
        for m, a in logs:
            logs[m, a].append(gains(m, a, drawn))
        ending_in_relu.append(gains(1.0, 0.5, drawn, ends_in_relu=True)[0, -1])
        if seed == 0:
            alone = {m: by_shortcuts(m, 0.5, drawn) for m in (1.0, 0.5)}
        tick()
    laws, curves = [], {}
    for m, a, relative in CASES:
        curves[m, a] = np.mean(logs[m, a], axis=0)
        predicted = (m * m + a * a) ** DEPTH
        for way, log in zip(("forward", "backward"), np.array(logs[m, a])[:, :, -1].T, strict=True):
            tolerance = predicted * max(relative, 3 * log.std(ddof=1) / np.sqrt(SEEDS))
            name = f"{way} gain, skip {m:g}, branch {a:.3g}"
            laws.append(Law(name, float(np.exp(log.mean())), predicted, tolerance, "asymptotic", SOURCE))
    broken, law = float(np.exp(np.mean(ending_in_relu))), 1.25**DEPTH
    tolerance = max(0.08 * law, 3 * broken * float(np.std(ending_in_relu, ddof=1)) / np.sqrt(SEEDS))
    name = "forward gain, skip 1, branch 0.5 ending in ReLU"
    laws.append(Law(name, broken, law, tolerance, "ordering", "derived: cross term of x and F(x)"))
    for m, measured in alone.items():
        predicted = m ** (2 * DEPTH)
        name = f"gradient through the shortcuts alone, skip {m:g}"
        laws.append(Law(name, measured, predicted, 1e-12 * predicted, "exact", "He et al. 2016"))
    name = "split at the input, by hand: largest error"
    laws.append(Law(name, split_error(options.seed), 0.0, 1e-12, "exact", "He et al. 2016"))
    note = "What 10 blocks y = skip x + branch F(x) multiply the squared signal (forward) or gradient (backward) by."
    return Result(laws, [published()], {"": lambda figure: draw(figure, curves)}, note=note)


def published() -> Table:
    """What a scaled shortcut does to a trained net."""
    columns = ["ResNet-110 on CIFAR-10", "test error, %", "squared gradient through its 54 shortcuts alone"]
    rows = [["x + F(x)", "6.61", "1"], ["0.5 x + 0.5 F(x)", "12.35", f"{0.5 ** (2 * 54):.1e}"]]
    note = "Errors: He et al. 2016, from memory and unchecked; not measured here. The last column: m^(2L), as above."
    return Table("A shortcut that is scaled, in a trained net", columns, rows, note)


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
    ticks=lambda options: SEEDS,
    run=run,
    seconds=1,
    starred=True,
)
