"""Popular listing: x = conv(x); y = F(x) + x, a 'shortcut' that starts after the convolution.

It bypasses the branch but not the convolution, so the gradient must pass through every block's convolution.
True blocks: He et al. 2016 [he2016deep].
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.lab.depth import states
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.law import three_errors
from tinyres.lab.laws.e11_gates import WIDTH, backward, branches

DEPTH, SEEDS, BATCH, SHRINK = 20, 30, 8, 0.5
TRUE, LATE = 1 + SHRINK**4, SHRINK**2 * (1 + SHRINK**4)
SOURCE = "derived: squared gains of independent maps multiply; for true blocks He et al. 2016"


def true_block(x: Any, w0: Any, w1: Any, w2: Any) -> Any:
    """x + F(x), F(x) = relu(x W1) W2; W0 is not needed."""
    return x + tr.relu(x @ w1) @ w2


def late_block(x: Any, w0: Any, w1: Any, w2: Any) -> Any:
    """h + F(h) with h = x W0: the listing."""
    h = x @ w0
    return h + tr.relu(h @ w1) @ w2


def run(options: Options, tick: Tick) -> Result:
    """Arithmetic means of the squared gradient over samples and nets; every weight is half its unit-gain value."""
    found: dict[str, list[Any]] = {"true": [], "late": []}
    for seed in range(SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        weights = [(w1 * SHRINK, w2 * SHRINK) for w1, w2 in branches(rng, DEPTH)]
        first = rng.standard_normal((DEPTH, WIDTH, WIDTH)) * (SHRINK / np.sqrt(WIDTH))
        x = rng.standard_normal((BATCH, WIDTH))
        for name, block in (("true", true_block), ("late", late_block)):
            layers = [partial(block, w0=w0, w1=w1, w2=w2) for w0, (w1, w2) in zip(first, weights, strict=True)]
            found[name].append(backward(states(layers, x), rng).mean(axis=1))
        tick()
    laws, curves = [], {}
    for name, gain, words in (("true", TRUE, "true block"), ("late", LATE, "shortcut after the convolution")):
        nets = np.array(found[name])
        curves[name] = nets.mean(axis=0)
        predicted = gain**DEPTH
        title = f"{words}: squared gradient after {DEPTH} blocks"
        tolerance = max(0.08 * predicted, three_errors(nets[:, -1]))
        laws.append(Law(title, float(curves[name][-1]), predicted, tolerance, "asymptotic", SOURCE))
    note = (
        "No batch norm, two-layer branches; all weights are half of their unit-gain values. A convolution is "
        "represented as the matrix that it is."
    )
    told = (
        f"With all weights halved, {DEPTH} true blocks multiply the squared gradient by {laws[0].measured:.2f}, since "
        f"the identity has no weights to halve. Blocks with the shortcut after the convolution multiply it by "
        f"{laws[1].measured:.1e}, like a plain net: that is not a shortcut."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, curves)}, note=note, found=told)


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """Squared gradient against depth for both blocks."""
    axes = figure.subplots()
    depth = np.arange(DEPTH + 1)
    for k, (name, gain, label) in enumerate(
        [("true", TRUE, "y = x + F(x): (1 + 1/16)ᴸ"), ("late", LATE, "h = conv(x), y = h + F(h): (17/64)ᴸ")]
    ):
        dots_and_line(axes, (depth, curves[name]), (depth, gain**depth), k, label, log="y")
    axes.set(xlabel="blocks below the top", ylabel="squared gradient, relative to the top", xticks=depth[::4])
    axes.set_title("A shortcut after the convolution is not a shortcut (dots measured, lines theory)")
    axes.legend()


EXPERIMENT = Experiment(
    name="claim-late-shortcut",
    question="Does a shortcut still work if it starts after the convolution?",
    claim="'a shortcut that starts after the convolution is a shortcut'",
    prediction="weights halved, 20 blocks: true block (1 + 1/16)²⁰ = 3.4, the listing (17/64)²⁰ = 3.1e-12",
    equation=r"\left( 1 + \frac{1}{16} \right)^{20} \; (\mathrm{true\ block}), \quad"
    r" \left( \frac{1}{4} \left( 1 + \frac{1}{16} \right) \right)^{20} \; (\mathrm{listing})",
    source=SOURCE,
    ticks=lambda options: SEEDS,
    run=run,
    seconds=2,
    varies="weights, inputs and cotangents of all nets",
    conditions=f"At initialisation, without batch norm, arithmetic means over {SEEDS} nets of width {WIDTH}, which "
    "are exact at any width up to their standard error. With unit gains instead of halves both would explode, listing "
    "and true block alike: weights that are too small tell them apart.",
)
