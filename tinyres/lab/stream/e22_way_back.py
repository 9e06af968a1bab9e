"""E22, how long is the way back: five places for a layer norm, and the branches that the gradient passes.

Veit et al. 2016 [veit2016residual] take a residual net apart into paths. The gradient of each of the five nets is split
exactly, by the number of branches on the path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.flow.instruments.paths import paths
from tinyres.flow.theory import path_lengths
from tinyres.flow.theory.stream import NORMS, branch_gains
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.law import three_errors
from tinyres.lab.stream import e22_figure
from tinyres.lab.stream.looks import LABELS
from tinyres.lab.stream.nets import WIDTH, Draw, net

DEPTH, NETS, BATCH = 24, 6, 8
SOURCE = "derived: uncorrelated paths"
Shares = dict[str, Any]  # norm: (nets, L + 1)


def share(norm: str, drawn: Draw, s: float = 1.0) -> Any:
    """The share of squared gradient at the input that came through 0, 1, ..., L branches."""
    model = net(norm, drawn.weights, s).requires_grad_(False)
    x = tr.tensor(drawn.x, requires_grad=True)
    return paths(model(x), x, drawn.g)["share"]


def run(options: Options, tick: Tick) -> Result:
    """The same weights in all five nets, several times over."""
    given = {"depth": DEPTH, "s": 1.0, "width": WIDTH, "nets": NETS} | dict(options.settings)
    depth, s = given["depth"], given["s"]
    found: Shares = {norm: [] for norm in NORMS}
    for drawn in Draw.some((options.seed,), given["nets"], depth, given["width"], BATCH, options.device):
        for norm in NORMS:
            found[norm].append(share(norm, drawn, s))
            tick()
    found = {norm: np.array(shares) for norm, shares in found.items()}
    lengths = [length_law(norm, shares, s) for norm, shares in found.items()]
    laws = [*lengths, *(untouched_law(norm, shares, s, given["width"]) for norm, shares in found.items())]
    said = ", ".join(
        f"{law.measured:.3g} with {LABELS[norm]} (predicted {law.predicted:.3g})"
        for norm, law in zip(NORMS, lengths, strict=True)
    )
    return Result(
        laws,
        tables=[table(found, s)],
        figures={"": lambda figure: e22_figure.draw(figure, found, s)},
        data={norm: shares.mean(axis=0).tolist() for norm, shares in found.items()},
        note="A path's length is the number of branches on it, and its weight the squared gradient that it carries.",
        found=f"Through {depth} blocks the gradient passes on average {said} branches.",
    )


def length_law(norm: str, shares: Any, s: float) -> Law:
    """The mean length of the gradient's paths: within 5 %, or three standard errors."""
    depth = shares.shape[1] - 1
    predicted = path_lengths.mean_length(branch_gains(norm, depth, s))
    name = f"{LABELS[norm]}: mean number of branches on the way"
    return Law.of_mean(name, shares @ np.arange(depth + 1), predicted, SOURCE, room=0.05 * predicted)


def untouched_law(norm: str, shares: Any, s: float, width: int) -> Law:
    """What passes no branch at all, per block: the L-th root, since 2^-24 and .98 need one measure.

    The share itself is to be within 5 % and 2L/n for the width n, or three standard errors.
    """
    depth = shares.shape[1] - 1
    logs = np.log(shares[:, 0]) / depth
    predicted = float(np.exp(-np.log1p(branch_gains(norm, depth, s)).mean()))
    tolerance = predicted * max(0.05 / depth + 2 / width, three_errors(logs))
    name = f"{LABELS[norm]}: share that passes no branch, per block"
    return Law(name, float(np.exp(logs.mean())), predicted, tolerance, "asymptotic", SOURCE)


def table(found: Shares, s: float) -> Table:
    """Per cent of the squared gradient on the shortest paths, and the mean."""
    depth = next(iter(found.values())).shape[1] - 1
    rows = []
    for norm, shares in found.items():
        mean, theory = shares.mean(axis=0), path_lengths.poisson_binomial(branch_gains(norm, depth, s))
        cells = [f"{100 * mean[k]:.2g} ({100 * theory[k]:.2g})" for k in range(min(4, depth + 1))]
        length = mean @ np.arange(depth + 1)
        rows.append([LABELS[norm], *cells, f"{length:.3g} ({theory @ np.arange(depth + 1):.3g})"])
    columns = ["layer norm", *(f"% through {k}" for k in range(min(4, depth + 1))), "mean length"]
    return Table(f"How long the way back is: {depth} blocks", columns, rows, "Theory in parentheses.")


SETTINGS = {
    "depth": Setting(DEPTH, "blocks", low=2, high=60),
    "s": Setting(1.0, "gain of a branch", low=0.1, high=3),
    "width": Setting(WIDTH, "units of a layer", low=64, high=512),
    "nets": Setting(NETS, "random nets", low=3, high=50),
}


EXPERIMENT = Experiment(
    name="E22",
    question="How long is the way back? Where does the layer norm stand, and how many branches does the gradient pass?",
    claim="the place of the layer norm decides how many branches the gradient passes: from nearly none to every other",
    prediction="mean Σ r/(1 + r): pre and peri r = 1/l, post 1, LayerNorm scaling 1/(l (1 + H)), DeepNorm 1/(8L √(2L))",
    equation=r"\bar{k} = \sum_{l=1}^{L} \frac{r_l}{1 + r_l}: \quad \text{pre, peri } H_{L+1} - 1, \quad "
    r"\text{post } \frac{L}{2}",
    source="derived; Veit et al. 2016; DeepNorm: Wang et al. 2022",
    ticks=lambda options: len(NORMS) * int(options.settings.get("nets", NETS)),
    run=run,
    seconds=4,
    starred=True,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="At initialisation, for branches W2 relu(W1 x) without attention, wide nets, and layer norms without "
    "weight and bias. r is the squared gradient that a block sends through its branch, over that through its skip "
    "connection. Each layer norm takes two of the width's directions from what passes it.",
    choices=(
        "The tolerance for the share that passes no branch contains 2L/n, in its logarithm: two directions per layer "
        "norm. At width 256 the share of post-LN lies up to 0.9 % per block above the law of wide nets (2/n: 0.8 %), "
        "and that of peri-LN below it. With 5 % alone, and then with L/n, one or two seeds of five failed.",
    ),
    settings=SETTINGS,
)
