"""E9: how alike a net's gradients at two inputs are: in deep plain nets as little as white noise.

Balduzzi et al. 2017, "The shattered gradients problem: If resnets are the answer, then what is the question?"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Tick
from tinyres.flow.theory import shattering

WIDTH = BATCH = POINTS = 256
SEEDS = 10
PLAIN, RESIDUAL, HE, RHO = (1, 2, 3, 4, 5), 40, 16, 0.9
PAIRS, PAIR_SEEDS, PAIR_WIDTH = 32, 10, 1024  # at n = 256 the law of infinite width is exceeded by 15 %
CURVES = 8  # nets for the figure's autocorrelation
SOURCE = "Balduzzi et al. 2017"
DERIVED = "derived: branch halves, shortcut keeps; statement of the problem Balduzzi et al. 2017"
ARC_COSINE = "derived: product of arc-cosine kernels (Cho & Saul 2009)"

Norm = Callable[[Any], Any]


def frozen(x: Any) -> Any:
    """relu(BN(x)) with the batch's statistics as constants, so that no gradient passes from sample to sample."""
    rows = x.numpy()
    return tr.batch_norm(x, rows.mean(axis=0), rows.var(axis=0), training=False, relu=True)


exact = partial(tr.batch_norm, relu=True)  # ... passes from sample to sample, as in training


def gradients(x: Any, norm: Norm, depth: int, g: Any, rng: np.random.Generator, *, residual: bool = False) -> Any:
    """The gradients at the inputs x, (N, n), of a net of layers norm(x) W (or x + norm(x) W), W ~ N(0, 2/n)."""
    x = tr.tensor(x, requires_grad=True)
    h = x
    n = x.shape[1]
    for _ in range(depth):
        layer = norm(h) @ rng.standard_normal((n, n)) * np.sqrt(2 / n)
        h = h + layer if residual else layer
    return tr.grad(h, x, np.broadcast_to(g, h.shape))[0].numpy()


def correlation(g: Any) -> float:
    """Mean of <g_i, g_j> over all pairs i != j, over the mean of |g_i|^2; g: (N, n)."""
    squares = (g * g).sum()
    total = g.sum(axis=0)
    return float(((total * total).sum() - squares) / squares / (len(g) - 1))


def of_batch(norm: Norm, depth: int, seed: tuple[int, ...], *, residual: bool = False) -> float:
    """The correlation at independent inputs, one function of the outputs followed: all cotangents are equal."""
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((BATCH, WIDTH)), rng.standard_normal(WIDTH)
    return correlation(gradients(x, norm, depth, g, rng, residual=residual))


def of_pairs(seed: tuple[int, ...]) -> float:
    """The same without batch norm, at pairs of inputs of correlation RHO with a cotangent a pair."""
    rng = np.random.default_rng(seed)
    pairs, other, g = rng.standard_normal((3, PAIRS, PAIR_WIDTH))
    x = np.concatenate([pairs, RHO * pairs + np.sqrt(1 - RHO * RHO) * other])  # (2 PAIRS, PAIR_WIDTH)
    one, two = np.split(gradients(x, tr.relu, HE, np.concatenate([g, g]), rng), 2)
    return float((one * two).sum() / np.sqrt((one * one).sum() * (two * two).sum()))


def over_line(depth: int, seed: tuple[int, ...], *, residual: bool = False) -> Any:
    """df/dx at POINTS inputs x in [-2, 2], (POINTS,): f starts with x w + b and ends in a random direction."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(np.linspace(-2, 2, POINTS)[:, None], requires_grad=True)  # (POINTS, 1)
    w, b, g = rng.standard_normal((3, 1, WIDTH))
    first = x @ w + b  # (POINTS, WIDTH)
    g = gradients(first.numpy(), frozen, depth, g, rng, residual=residual)
    return tr.grad(first, x, g)[0].numpy()[:, 0]


def run(options: Options, tick: Tick) -> Result:
    """Ten nets a law, eight for the curves."""

    def sample(measure: Callable[[tuple[int, ...]], Any], count: int = SEEDS) -> Any:
        found = []
        for seed in range(count):
            found.append(measure((options.seed, seed)))
            tick()
        return np.array(found)

    def law(name: str, values: Any, predicted: float, source: str) -> Law:
        tolerance = max(0.15 * predicted, 3 * _error(values))
        return Law(name, float(values.mean()), predicted, tolerance, "asymptotic", source)

    laws = []
    for depth in PLAIN:
        values = sample(partial(of_batch, frozen, depth))
        laws.append(law(f"plain, frozen BN, L={depth}", values, shattering.plain_frozen(depth), SOURCE))
    train = of_batch(exact, PLAIN[-1], (options.seed, 0))
    name = f"plain, exact BN, L={PLAIN[-1]}, equal cotangents"
    laws.append(Law(name, train, shattering.exact_batch_norm(BATCH), 1e-10, "exact", "derived: they sum to zero"))
    residual = sample(partial(of_batch, frozen, RESIDUAL, residual=True))
    laws.append(law(f"residual, frozen BN, L={RESIDUAL}", residual, shattering.residual_frozen(RESIDUAL), DERIVED))
    he = sample(of_pairs, PAIR_SEEDS)
    laws.append(law(f"He, no BN, from ρ={RHO}, L={HE}", he, shattering.he(RHO, HE), ARC_COSINE))
    refuted = shattering.plain_frozen(HE)
    laws.append(Law(f"He, no BN: not 2^-{HE}", float(he.mean()), refuted, 3 * _error(he), "ordering", ARC_COSINE))

    curves = {name: sample(curve, CURVES) for name, curve in LINES.items()}
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, curves)},
        data={"over_line": {name: found[0].tolist() for name, found in curves.items()}},
        note="correlation of the gradients at two inputs. Frozen BN: statistics are constants; exact BN: the gradient "
        "passes through them, and the batch's gradients then sum to zero whatever the net.",
    )


def _error(values: Any) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def white(seed: tuple[int, ...]) -> Any:
    """Noise without memory."""
    return np.random.default_rng(seed).standard_normal(POINTS)


def brownian(seed: tuple[int, ...]) -> Any:
    """Its running sum."""
    return np.cumsum(white(seed))


LINES: dict[str, Callable[[tuple[int, ...]], Any]] = {
    "plain, 2 layers": partial(over_line, 2),
    "plain, 24 layers": partial(over_line, 24),
    "residual, 50 blocks": partial(over_line, 50, residual=True),
    "white noise": white,
    "Brownian noise": brownian,
}


def autocorrelation(curves: Any, lags: int) -> Any:
    """Correlation of a curve with itself 0 ... lags - 1 points on, mean over curves (N, POINTS): (lags,)."""
    centred = curves - curves.mean(axis=1, keepdims=True)
    products = [(centred[:, : POINTS - lag] * centred[:, lag:]).sum(axis=1) for lag in range(lags)]
    return (np.array(products) / products[0]).mean(axis=1)


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """Gradients over a line of inputs, and below how far they remember."""
    grid = figure.subplots(2, len(curves), sharex="row", sharey="row")
    x, lags = np.linspace(-2, 2, POINTS), 40
    colours = ("C0", "C3", "C2", "C7", "C7")
    for (name, found), colour, (top, bottom) in zip(curves.items(), colours, grid.T, strict=True):
        top.plot(x, found[0] / np.abs(found[0]).max(), color=colour, lw=0.8)
        top.set(title=name, xlabel="input x")
        bottom.plot(np.arange(lags), autocorrelation(found, lags), ".-", color=colour, ms=4, lw=0.8)
        bottom.axhline(0, color="k", lw=0.5)
        bottom.set(xlabel="points apart")
    grid[0, 0].set_ylabel("df/dx, scaled")
    grid[1, 0].set_ylabel(f"autocorrelation,\nmean of {CURVES}")
    figure.suptitle("Shattered gradients: a deep plain net's look like white noise, a residual net's less so")


EXPERIMENT = Experiment(
    name="E9",
    claim="gradients at two inputs: uncorrelated in deep plain nets with batch norm, much less so with shortcuts",
    prediction="plain 1/2^L; residual ∏ (1 + r/2)/(1 + r), r = 1/(1 + (l-1)v); He without BN ∏ κ₀(ρ)",
    source="Balduzzi et al. 2017; products derived",
    ticks=lambda options: SEEDS * (len(PLAIN) + 1) + PAIR_SEEDS + CURVES * len(LINES),
    run=run,
    seconds=6,
)
