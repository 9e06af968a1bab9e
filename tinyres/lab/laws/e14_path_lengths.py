"""E14, path lengths: most paths of a residual net are long, but its gradient comes through the short ones.

Veit et al. 2016 [veit2016residual], "Residual networks behave like ensembles of relatively shallow networks": of the
2^54 paths of a net of 54 blocks 0.45 % have 5-17 branches, and these carry the gradient of their trained net. Here the
gradient is split exactly, at initialisation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import to_device
from tinyres.flow.instruments.paths import paths
from tinyres.flow.measurement import Measurement
from tinyres.flow.theory import normalised, path_lengths
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Table, Tick, shown

WIDTH = BATCH = 256
BLOCKS, SEEDS = 54, 2
NAMES = {1: "one layer per branch", 2: "two layers per branch", 3: "three layers a branch"}
VEIT = "Veit et al. 2016"
DERIVED = "derived: uncorrelated paths, with the gains of E4"


def net(layers: int, rng: np.random.Generator, blocks: int = BLOCKS) -> nn.Module:
    """Blocks x + F(x); F is `layers` times batch norm, ReLU and a matrix of entries N(0, 2/n)."""

    def branch() -> nn.Module:
        modules: list[nn.Module] = []
        for _ in range(layers):
            linear = nn.Linear(WIDTH, WIDTH, bias=False, rng=rng)
            nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", rng=rng)
            modules += [nn.BatchNorm1d(WIDTH, affine=False, track_running_stats=False), nn.ReLU(), linear]
        return nn.Sequential(*modules)

    return nn.Sequential(*(nn.Residual(branch()) for _ in range(blocks))).to("float64").requires_grad_(False)


def measure(layers: int, seed: tuple[int, ...], device: str = "cpu", blocks: int = BLOCKS) -> tuple[Measurement, float]:
    """The gradient at the input by path length, and how far the terms' sum is from the ordinary gradient, relatively.

    Training mode: the gradient passes through the batch's statistics. Every sample has a random cotangent of its own.
    """
    rng = np.random.default_rng(seed)
    model = net(layers, rng, blocks).to(device)
    x = tr.tensor(to_device(rng.standard_normal((BATCH, WIDTH)), device), requires_grad=True)
    g = to_device(rng.standard_normal((BATCH, WIDTH)), device)
    y = model(x)
    found = paths(y, x, g, keep_terms=True)
    ordinary = tr.grad(y, x, g)[0].numpy()
    error = np.linalg.norm(found["terms"].sum(axis=0) - ordinary) / np.linalg.norm(ordinary)
    return found, float(error)


def run(options: Options, tick: Tick) -> Result:
    """Two nets of each kind, taken apart exactly, against the Poisson binomial with the gains of E4."""
    asked = options.settings
    blocks, kinds = (asked["blocks"], (asked["layers"],)) if asked else (BLOCKS, (1, 2))
    counted, errors = np.zeros(blocks + 1), []
    shares: dict[int, list[Any]] = {layers: [] for layers in kinds}
    squares = []  # sum of |term|² over |gradient|²: 1 if terms of different lengths are orthogonal
    for layers, found_shares in shares.items():
        for seed in range(SEEDS):
            found, error = measure(layers, (options.seed, seed, layers), options.device, blocks)
            found_shares.append(found["share"])
            squares.append(float((found["norm"] ** 2).sum() / found["gradient_norm"] ** 2))
            errors.append(error)
            counted = found["count_share"]
            tick()
    counts, lengths = count_laws(counted, published=not asked), length_laws(shares)
    shown_shares = [] if asked else published_shares(shares)
    return Result(
        laws=[*counts, *lengths, *shown_shares, *check_laws(errors, squares)],
        tables=[table(shares)],
        figures={"": lambda figure: draw(figure, shares)},
        data={"share": {NAMES[layers]: np.mean(found, axis=0).tolist() for layers, found in shares.items()}},
        note="A path's length is the number of branches on it. Mean lengths are weighted with |term|², term the sum of "
        "all paths of one length. Terms of different lengths are not quite orthogonal, so their squares need not add "
        "up to the gradient's.",
        found=told(blocks, lengths) if asked else summary(counts, lengths, shown_shares),
    )


def count_laws(counted: Any, *, published: bool) -> list[Law]:
    """Ways through the recorded graph, counted by a walk over it, against the binomial: at the published lengths."""
    blocks = len(counted) - 1
    binomial = path_lengths.binomial(blocks)
    if not published:
        worst = float(np.abs(counted - binomial).max())
        name = f"shares of the 2^{blocks} paths by length, less the binomial's: the worst"
        return [Law(name, worst, 0.0, 1e-12, "check", VEIT)]
    laws = []
    for low, high in ((5, 17), (19, 35)):
        name = f"share of the 2^{blocks} paths that have {low}-{high} branches"
        measured, predicted = (float(p[low : high + 1].sum()) for p in (counted, binomial))
        laws.append(Law(name, measured, predicted, 1e-12, "check", VEIT))
    return laws


def length_laws(shares: dict[int, list[Any]]) -> list[Law]:
    """The mean length of each kind of net."""
    laws = []
    for layers, found in shares.items():
        blocks = len(found[0]) - 1
        means = np.array(found) @ np.arange(blocks + 1)
        predicted = path_lengths.mean_length(normalised.module_gains(blocks, layers))
        name = f"{NAMES[layers]}: mean length of the gradient's paths"
        laws.append(Law.of_mean(name, means, predicted, DERIVED, room=0.1 * predicted))
    return laws


def published_shares(shares: dict[int, list[Any]]) -> list[Law]:
    """What the lengths that carry the trained net's gradient bring at initialisation."""
    return [
        shown(
            f"{NAMES[layers]}: share of squared gradient by 5-17 branches",
            float(np.mean(found, axis=0)[5:18].sum()),
            VEIT,
        )
        for layers, found in shares.items()
    ]


def check_laws(errors: list[float], squares: list[float]) -> list[Law]:
    """The parts are those of the gradient, and what their squares add up to."""
    return [
        Law("sum of the terms less the gradient, relatively: the worst net", max(errors), 0.0, 1e-10, "check", VEIT),
        shown("sum of |term|² over |gradient|², mean of all nets", float(np.mean(squares))),
    ]


def summary(counts: list[Law], lengths: list[Law], shares: list[Law]) -> str:
    """The published net in a sentence."""
    return (
        f"{counts[1].measured:.1%} of the 2^{BLOCKS} paths have 19-35 branches and only {counts[0].measured:.2%} have "
        f"5-17, but at initialisation the paths that carry the squared gradient have {lengths[0].measured:.2f} "
        f"branches on average with one layer per branch, and {lengths[1].measured:.2f} with two: "
        f"{shares[0].measured:.0%} and {shares[1].measured:.0%} of it comes through 5-17 branches, and nearly all the "
        "rest through fewer."
    )


def told(blocks: int, lengths: list[Law]) -> str:
    """Another net in a sentence."""
    (law,) = lengths
    return (
        f"With {blocks} blocks the paths that carry the squared gradient have {law.measured:.2f} branches on average "
        f"(theory {law.predicted:.2f}); the average over all 2^{blocks} paths is {blocks / 2:g}."
    )


def table(shares: dict[int, list[Any]]) -> Table:
    """Shares in per cent, for the lengths that matter."""
    blocks = _blocks(shares)
    binomial = path_lengths.binomial(blocks)
    theory = {layers: path_lengths.poisson_binomial(normalised.module_gains(blocks, layers)) for layers in shares}
    rows = []
    for k in sorted(k for k in {*range(13), 17, blocks // 2} if k <= blocks):
        row = [f"{k}", f"{100 * binomial[k]:.2g}"]
        for layers, found in shares.items():
            row.append(f"{100 * np.mean(found, axis=0)[k]:.2g} ({100 * theory[layers][k]:.2g})")
        rows.append(row)
    columns = ["branches on the path", "% of paths", *(f"% of squared gradient, {NAMES[layers]}" for layers in shares)]
    return Table("Many long paths, few short ones that carry the gradient", columns, rows, "Theory in parentheses.")


def _blocks(shares: dict[int, list[Any]]) -> int:
    return len(next(iter(shares.values()))[0]) - 1


def draw(figure: Any, shares: dict[int, list[Any]]) -> None:
    """Shares against length, of paths and of squared gradient: as they are, and over decades."""
    blocks = _blocks(shares)
    k, binomial = np.arange(blocks + 1), path_lengths.binomial(blocks)
    for axes in figure.subplots(1, 2):
        axes.fill_between(k, binomial, color="0.85", label=f"all $2^{{{blocks}}}$ paths: binomial")
        for layers, found in shares.items():
            theory = path_lengths.poisson_binomial(normalised.module_gains(blocks, layers))
            mean = np.mean(found, axis=0)
            label = f"|gradient|², {NAMES[layers]}: mean {mean @ k:.2f}"
            dots_and_line(axes, (k, mean), (k, theory), layers - 1, label)
        axes.set(xlabel="residual branches on the path", ylabel="share of all lengths", xlim=(-1, blocks + 1))
    left, right = figure.axes
    left.set_title("Most paths are long, the gradient takes short ones\n(dots measured, lines theory)")
    left.set_ylim(bottom=0)
    left.legend(fontsize=8)
    right.set(yscale="log", ylim=(1e-24, 2), title="The same on a log scale: each further branch costs")


EXPERIMENT = Experiment(
    name="E14",
    question="A deep residual net is a sum of very many paths: which of them carry the gradient back?",
    claim="the gradient of a deep residual net comes through its few short paths",
    prediction="Binomial(54, 1/2) paths; share [z^k] ∏ (1 + r_l z)/(1 + r_l), mean Σ r_l/(1 + r_l): 4.60 and 6.25",
    equation=r"\sum_k p_k z^k = \prod_{l=1}^{L} \frac{1 + r_l z}{1 + r_l}, \quad "
    r"\bar{k} = \sum_{l=1}^{L} \frac{r_l}{1 + r_l}, \quad "
    r"r_l = \frac{v^{1-d}}{1 + (l-1) v}, \quad v = \frac{\pi-1}{\pi}",
    source="Veit et al. 2016; weights of the paths derived",
    ticks=lambda options: SEEDS if options.settings else 2 * SEEDS,
    run=run,
    seconds=11,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"p_k is the share of squared gradient that paths with k branches carry, of d layers each. At "
    f"initialisation, with batch norm in training mode before every ReLU, and a random cotangent for every sample. The "
    f"gains r_l are those of wide nets and large batches (both {WIDTH} here). The paper's 10-34 layers are 5-17 blocks "
    "of two layers; the net in which these carry the gradient is trained.",
    settings={
        "blocks": Setting(BLOCKS, "residual blocks", low=1, high=100),
        "layers": Setting(2, "layers per branch", low=1, high=3),
    },
)
