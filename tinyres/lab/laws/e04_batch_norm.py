"""E4: batch norm makes plain nets explode, and lets residual nets grow only as a power of the depth.

Yang et al. 2019 [yang2019mean]; De & Smith 2020 [de2020batch]; Yang & Schoenholz 2017 [yang2017mean].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import device_of, to_device
from tinyres.flow.theory import normalised
from tinyres.lab.depth import slope, states
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Setting, Table, Tick
from tinyres.lab.laws import e04_figure

WIDTH = BATCH = 256
DEPTH, SEEDS = 40, 10
DEEP = 54  # one net, for the table only
FEW, SHALLOW = 5, 20  # seeds and depth of the cases in which every block has the same gain
SCALES = (0.5, 0.707, 0.9)
ROWS = (10, 27, 54)
HE = np.full(WIDTH, np.sqrt(2 / WIDTH))  # the standard deviation of the weights, as the weight of batch norm
DERIVED = "derived: variance and gradient of the blocks multiplied up; for the setting De & Smith 2020"


def layer(x: Any, w: Any) -> Any:
    """relu(BN(x)) W, the statistics those of the batch: the gradient passes through them."""
    he = HE if len(w) == WIDTH else np.full(len(w), np.sqrt(2 / len(w)))
    return tr.batch_norm(x, weight=to_device(he, x.device), relu=True) @ w


def plain(x: Any, w: Any) -> Any:
    """One layer and no shortcut."""
    return layer(x, w[0])


def residual(x: Any, w: Any, layers: int, m: float = 1.0, a: float = 1.0) -> Any:
    """m x + a F(x), F of one or two layers."""
    branch = layer(x, w[0])
    branch = branch if layers == 1 else layer(branch, w[1])
    return x + branch if m == a == 1 else m * x + a * branch


def scaled(x: Any, w: Any, m: float) -> Any:
    """m x + sqrt(1 - m²) F(x), F of one layer."""
    return residual(x, w, 1, m, np.sqrt(1 - m * m))


def log_ratios(block: Callable[..., Any], weights: Any, rng: np.random.Generator, variance: float = 1.0) -> Any:
    """ln |g_0|² / |g_l|² for l = 0 ... L: what the first l blocks do to the squared gradient.

    The inputs have the given variance, and every sample a random cotangent of its own on top. The batch is as large as
    the layers are wide.
    """
    x, device = np.sqrt(variance) * rng.standard_normal(weights.shape[-2:]), device_of(weights)
    found = states([partial(block, w=w) for w in weights], to_device(x, device))
    gradients = tr.grad(found[-1], found, to_device(rng.standard_normal(x.shape), device))
    logs = np.log([(g.numpy() ** 2).sum() for g in gradients])  # no BLAS dot: its threads would wait for ours
    return logs[0] - logs


def run(options: Options, tick: Tick) -> Result:
    """Ten nets a residual case, five per case whose gain is the same in every block; deeper ones for the table."""
    if options.settings:
        return run_one(Case(**options.settings), options, tick)
    logs: dict[str, list[Any]] = {}
    memory = np.empty((DEEP, 2, WIDTH, WIDTH))  # 57 MB that every seed fills again
    for seed in range(SEEDS):
        rng = np.random.default_rng((options.seed, seed))
        drawn = memory[: DEPTH if seed else DEEP]
        weights = to_device(rng.standard_normal(out=drawn), options.device)
        blocks = {f"{layers}": partial(residual, layers=layers) for layers in (1, 2)}
        for case, block in blocks.items():
            logs.setdefault(case, []).append(log_ratios(block, weights[:DEPTH], rng))
        if seed < FEW:
            logs.setdefault("plain", []).append(log_ratios(plain, weights[:DEPTH], rng, normalised.V))
            for m in SCALES:
                log = log_ratios(partial(scaled, m=m), weights[:SHALLOW], rng, normalised.V)
                logs.setdefault(f"m={m}", []).append(log)
        if seed == 0:
            deep = {case: log_ratios(block, weights, rng) for case, block in blocks.items()}
            deep["plain"] = log_ratios(plain, weights, rng, normalised.V)
        tick()
    curves = {case: np.mean(found, axis=0) for case, found in logs.items()}
    gains, products = gain_laws(logs), product_laws(logs)
    return Result(
        laws=[*gains, *products],
        tables=[growth_table(deep)],
        figures={"": lambda figure: e04_figure.draw(figure, curves, SCALES)},
        data={"log_ratio": {case: curve.tolist() for case, curve in curves.items()}},
        note="The effect of BN, ReLU and a matrix N(0, 2/n) on the squared gradient: a plain layer or a scaled block "
        "multiplies it by a constant; residual blocks x + F(BN(x)) by less and less, as the variance of x grows.",
        found=said_of(gains, products, float(np.exp(curves["plain"][-1]))),
    )


def said_of(gains: list[Law], products: list[Law], plain_total: float) -> str:
    """Exponentials and powers in a sentence."""
    layer_gain, scaled_blocks = gains[0], gains[1:]
    one, its_power, two, other_power = products
    blocks = ", ".join(f"{law.measured:.3f} at m = {m}" for law, m in zip(scaled_blocks, SCALES, strict=True))
    return (
        f"A plain layer with batch norm multiplies the squared gradient by {layer_gain.measured:.3f} (predicted "
        f"{layer_gain.predicted:.3f}), {DEPTH} layers by {plain_total:.2g}. {DEPTH} residual blocks multiply it by "
        f"only {one.measured:.0f} with one layer per branch (predicted {one.predicted:.0f}) and {two.measured:.0f} "
        f"with two ({two.predicted:.0f}): powers {its_power.measured:.2f} and {other_power.measured:.2f} of the depth. "
        f"A skip connection scaled by m brings the exponential back: {blocks} per block."
    )


@dataclass(frozen=True)
class Case:
    """Blocks m x + a F(x), F of one or two layers; a batch as large as the layers are wide."""

    m: float
    a: float
    layers: int
    depth: int
    width: int
    nets: int

    def predicted(self, batch: float = math.inf) -> Any:
        """What 0, ..., depth blocks multiply the squared gradient by."""
        return normalised.block_gains(self.depth, self.m, self.a, self.layers, batch)


def run_one(case: Case, options: Options, tick: Tick) -> Result:
    """The gain of all blocks of one case: within 10 % and what a finite batch takes, or three standard errors."""
    found = []
    for seed in range(case.nets):
        rng = np.random.default_rng((options.seed, seed))
        weights = rng.standard_normal((case.depth, case.layers, case.width, case.width))
        block = partial(residual, layers=case.layers, m=case.m, a=case.a)
        found.append(log_ratios(block, to_device(weights, options.device), rng))
        tick()
    logs = np.array(found)
    total = logs[:, -1]
    predicted, finite = case.predicted()[-1], case.predicted(case.width)[-1]
    name = f"BN, skip {case.m:g}, branch {case.a:g} of {case.layers}: gain of {case.depth} blocks"
    law = Law.of_geometric_mean(name, total, predicted, DERIVED, share=0.1 + 1 - finite / predicted)
    said = f"{case.depth} blocks multiply the squared gradient by {law.measured:.4g} (predicted {predicted:.4g}), "
    said += f"{law.measured ** (1 / case.depth):.4f} per block. "
    if case.m < 1:
        said += (
            f"In the long run each block multiplies it by {normalised.scaled_gain(case.m, case.layers):.4f}: since "
            "m < 1, the gain is exponential."
        )
    elif case.m == 1:
        said += f"In the long run it grows as the power {normalised.residual_power(case.layers):.3f} of the depth."
    else:
        said += "The skip connection outgrows the branches, and in the long run a block multiplies it by "
        said += f"m² = {case.m**2:.4g}."
    picture = partial(e04_figure.draw_one, curve=logs.mean(axis=0), theory=case.predicted())
    note = (
        "The inputs have variance 1. Tolerance: 10 %, plus the 2 directions of the batch that each batch norm removes."
    )
    return Result([law], figures={"": picture}, note=note, found=said)


def gain_laws(logs: dict[str, list[Any]]) -> list[Law]:
    """Cases in which every block has the same gain: the slope of the logarithm."""
    cases = [("plain", "plain BN + ReLU: gain per layer", normalised.plain_gain(), "Yang et al. 2019")]
    cases += [(f"m={m}", f"BN, skip scaled by {m}: gain per block", normalised.scaled_gain(m), DERIVED) for m in SCALES]
    laws = []
    for case, name, predicted, source in cases:
        laws.append(Law.of_geometric_mean(name, [slope(log) for log in logs[case]], predicted, source, share=0.03))
    return laws


def product_laws(logs: dict[str, list[Any]]) -> list[Law]:
    """Residual nets: the product over 40 blocks, and the power of the depth that it follows from 10 blocks on."""
    laws = []
    from_ten = np.arange(10, DEPTH + 1)
    for layers, words in ((1, "one layer"), (2, "two layers")):
        found = np.array(logs[f"{layers}"])
        predicted = normalised.residual_gains(DEPTH, layers)[-1]
        name = f"BN residual, {words} per branch: gain of {DEPTH} blocks"
        laws.append(Law.of_geometric_mean(name, found[:, -1], predicted, DERIVED, share=0.1))
        grid = np.log(1 + from_ten * normalised.V)
        powers = [np.polyfit(grid, log[from_ten], 1)[0] for log in found]
        power = normalised.residual_power(layers)
        name = f"BN residual, {words} per branch: power of the depth"
        laws.append(Law.of_mean(name, powers, power, DERIVED, room=0.1 * power))
    return laws


def growth_table(deep: dict[str, Any]) -> Table:
    """Exponentials beside power laws at 10, 27 and 54 blocks."""
    rows = []
    for depth in ROWS:
        row = [f"{depth}", f"{0.5 ** (2 * depth):.1e}", f"{2.0**depth:.1e}"]
        for case, predicted in [
            ("plain", normalised.plain_gain() ** depth),
            *((f"{layers}", normalised.residual_gains(depth, layers)[-1]) for layers in (1, 2)),
        ]:
            row.append(f"{np.exp(deep[case][depth]):.3g} ({predicted:.3g})")
        rows.append(row)
    columns = ["blocks", "identity path halved", "no norm", "plain BN", "BN residual, 1 layer", "BN residual, 2 layers"]
    return Table(
        "Squared gradient at the input, divided by the top's: exponentials and powers of the depth",
        columns,
        rows,
        "identity path halved: 0.5^(2L), what passes through all shortcuts if each is scaled by 0.5. No norm: E3. "
        "The last three: one net of 54, in parentheses the theory of wide nets and large batches. Plain ones fall "
        "behind it by about 1 % per layer, since batch norm projects two of 256 directions away.",
    )


SETTINGS = {
    "m": Setting(1.0, "scale of the skip connection; 0: none, a plain net", low=0, high=2),
    "a": Setting(1.0, "scale of the branch", low=0.01, high=3),
    "layers": Setting(1, "layers of a branch", low=1, high=2),
    "depth": Setting(DEPTH, "blocks", low=1, high=100),
    "width": Setting(WIDTH, "units per layer, and samples per batch", low=64, high=512),
    "nets": Setting(SEEDS, "random nets", low=3, high=20),
}


EXPERIMENT = Experiment(
    name="E4",
    question="Does batch norm preserve the gradient, in plain nets and in residual ones?",
    claim="batch norm: plain nets explode, residual nets grow only as a power of the depth",
    prediction="plain π/(π-1) per layer; residual ∏ 1 + c/(1 + (l-1)v), v = (π-1)/π; m² + (1-m²)/v per scaled block",
    source="Yang et al. 2019; De & Smith 2020; products derived",
    equation=r"\text{plain: } \left(\frac{\pi}{\pi - 1}\right)^L \quad \text{residual: } "
    r"\prod_{l=1}^{L} \left(1 + \frac{c}{1 + (l - 1) v}\right), \quad v = \frac{\pi - 1}{\pi}",
    ticks=lambda options: int(options.settings.get("nets", SEEDS)),
    run=run,
    seconds=4,
    starred=True,
    devices=BOTH,
    varies="weights, inputs and cotangents of all nets",
    conditions="Batch norm in training mode, then ReLU, with the gradient through the statistics included; a separate "
    "cotangent for each sample; wide layers and large batches. A batch norm removes two of the batch's directions, 1 % "
    "of the squared gradient at 256 samples. Values are geometric means over nets. c = 1 for one layer per branch, 1/v "
    "for two; with a skip connection scaled by m < 1 the gain per block tends to m² + (1 - m²)/v.",
    settings=SETTINGS,
)
