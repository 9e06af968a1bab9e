"""E23, layer norm is not batch norm: a plain net keeps its gradient, where batch norm makes it explode.

Yang et al. 2019 [yang2019mean] for batch norm (E4).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.figures import palette
from tinyres.flow.theory import normalised, stream
from tinyres.lab.depth import slope, states
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Tick, shown
from tinyres.ops.standardize import layer_norm

WIDTH, BATCH, NETS, DEPTH, SHALLOW = 256, 64, 8, 40, 10
FEW = 3  # nets with batch norm, which E4 examines
SOURCE, BATCH_NORM = "derived", "Yang et al. 2019"
Layer = Callable[..., Any]


def layer(x: Any, w: Any) -> Any:
    """W relu(LN(x))."""
    return tr.relu(layer_norm(x, x.shape[-1:])) @ w


def block(x: Any, w: Any) -> Any:
    """The same, added to x."""
    return x + layer(x, w)


def with_batch_norm(x: Any, w: Any) -> Any:
    """W relu(BN(x)), with the batch's own statistics."""
    return tr.relu(tr.batch_norm(x)) @ w


KINDS: dict[str, Layer] = {"plain LN": layer, "residual LN": block, "plain BN": with_batch_norm}


def log_ratios(kind: Layer, weights: Any, x: Any, g: Any) -> Any:
    """ln of the squared gradient 0 ... L layers down, over the top's, in a net without a norm on top: (L + 1,)."""
    found = states([partial(kind, w=w) for w in weights], x)
    squares = np.log([float((gradient.data**2).sum()) for gradient in tr.grad(found[-1], found, g)[::-1]])
    return squares - squares[0]


def run(options: Options, tick: Tick) -> Result:
    """Geometric means over nets; batch norm has a batch as large as the layers are wide, and fewer nets."""
    given = {"depth": DEPTH, "width": WIDTH, "batch": BATCH, "nets": NETS} | dict(options.settings)
    depth, width = given["depth"], given["width"]
    logs: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for net in range(given["nets"]):
        rng = np.random.default_rng((options.seed, net))
        weights = to_device(rng.standard_normal((depth, width, width)) * (2 / width) ** 0.5, options.device)
        for kind, made in KINDS.items():
            batch = width if made is with_batch_norm else given["batch"]
            x, g = (to_device(part, options.device) for part in rng.standard_normal((2, batch, width)))
            if made is with_batch_norm:
                x = x * normalised.V**0.5  # as large as what comes out of a layer
            if made is not with_batch_norm or net < FEW:
                logs[kind].append(log_ratios(made, weights, x, g))
        tick()
    laws = laws_of(logs, width)
    curves = {kind: np.mean(found, axis=0) for kind, found in logs.items()}
    plain, total, batch = laws[0], laws[-1], next(law for law in laws if "BN" in law.name)
    return Result(
        laws,
        figures={"": lambda figure: draw(figure, curves)},
        data={kind: curve.tolist() for kind, curve in curves.items()},
        note="What one layer, or all blocks, multiply the squared gradient by: geometric means over nets.",
        found=f"A plain layer multiplies the squared gradient by {plain.measured:.3f} with layer norm (predicted 1), "
        f"and by {batch.measured:.3f} with batch norm ({batch.predicted:.3f}). {depth} residual blocks with layer norm "
        f"multiply it by {total.measured:.1f} ({total.predicted:.0f}).",
    )


def laws_of(logs: dict[str, list[Any]], width: int) -> list[Law]:
    """A factor per layer, and the whole of the residual net at two depths."""
    depth = len(logs["plain LN"][0]) - 1
    plain, batch = ([slope(log) for log in logs[kind]] for kind in ("plain LN", "plain BN"))
    bn = normalised.plain_gain()
    laws = [
        Law.of_geometric_mean("plain LN + ReLU: gain per layer", plain, 1.0, SOURCE, share=0.02),
        Law.of_geometric_mean("plain BN + ReLU: gain per layer", batch, bn, BATCH_NORM, share=0.01 + 2 / width + 0.01),
        shown("plain BN over plain LN, after all layers", float(np.exp(depth * (np.mean(batch) - np.mean(plain))))),
    ]
    found = np.array(logs["residual LN"])
    for blocks in sorted({min(SHALLOW, depth), depth}):
        predicted = float(stream.layer_norm_gains(blocks)[-1])
        # The lowest blocks, where the stream is small, are those that a net of L blocks has.
        logs_of = found[:, depth] - found[:, depth - blocks]
        name = f"residual LN, one layer per branch: gain of the lowest {blocks} blocks"
        laws.append(Law.of_geometric_mean(name, logs_of, predicted, SOURCE, share=0.1))
    return laws


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """Plain nets on a logarithmic scale, residual ones where a power is a straight line."""
    left, right = figure.subplots(1, 2)
    depth = len(curves["plain LN"]) - 1
    l = np.arange(depth + 1)
    for kind, gain, colour in (
        ("plain BN", normalised.plain_gain(), palette.CASES[1]),
        ("plain LN", 1.0, palette.PLAIN),
    ):
        dots_and_line(left, (l, np.exp(curves[kind])), (l, gain**l), colour, f"{kind}: {gain:.3f} per layer", log="y")
    left.set(xlabel="layers passed", ylabel="|gradient|², divided by the top's")
    left.set_title("Plain nets: batch norm explodes, layer norm does not\n(dots measured, lines theory)")
    left.legend(fontsize=8)
    found = curves["residual LN"]
    gains = np.exp(found[-1] - found[::-1])  # of the lowest 0, 1, ..., L blocks
    theory = stream.layer_norm_gains(depth)
    dots_and_line(right, (l[1:], gains[1:]), (l[1:], theory[1:]), palette.RESIDUAL, "layer norm: 1 + L", log="xy")
    power = normalised.residual_gains(depth, 1)
    right.loglog(l[1:], power[1:], "--", color=palette.FAINT, lw=1, label="batch norm (E4): about L^1.47")
    right.set(xlabel="lowest residual blocks, L", ylabel="gain of the squared gradient")
    right.set_title("Residual nets: a power of the depth, and a smaller one")
    right.legend(fontsize=8)


SETTINGS = {
    "depth": Setting(DEPTH, "layers, or blocks", low=2, high=100),
    "width": Setting(WIDTH, "units of a layer", low=64, high=512),
    "batch": Setting(BATCH, "samples that layer norm sees", low=1, high=256),
    "nets": Setting(NETS, "random nets", low=4, high=50),
}


EXPERIMENT = Experiment(
    name="E23",
    question="Layer norm and batch norm look alike: do they do the same to the gradient?",
    claim="with layer norm a plain ReLU net neither vanishes nor explodes, where batch norm explodes",
    prediction="plain: 1 per layer (batch norm π/(π-1)); residual, one layer: 1 + L (batch norm about L^1.47)",
    equation=r"\text{plain: } 1 \text{ against } \frac{\pi}{\pi - 1}, \qquad \text{residual: } 1 + L",
    source="derived; batch norm: Yang et al. 2019",
    ticks=lambda options: int(options.settings.get("nets", NETS)),
    run=run,
    seconds=4,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="At initialisation, weights N(0, 2/n), layer norm before each ReLU, wide layers. ReLU's output has the "
    "same mean for all samples, which batch norm takes away and layer norm leaves: that is the difference. Plain: 2 % "
    "per layer. The whole residual net: 10 %. Batch norm, as in E4, loses two of the batch's directions per layer.",
    settings=SETTINGS,
)
