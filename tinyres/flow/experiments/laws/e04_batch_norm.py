"""E4: batch norm makes plain nets explode, and lets residual nets grow only as a power of the depth.

Yang et al. 2019; De & Smith 2020; Yang & Schoenholz 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.backend import device_of, to_device
from tinyres.flow.experiments.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick
from tinyres.flow.theory import normalised

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
    return tr.batch_norm(x, weight=to_device(HE, x.device), relu=True) @ w


def plain(x: Any, w: Any) -> Any:
    """One layer and no shortcut."""
    return layer(x, w[0])


def residual(x: Any, w: Any, layers: int) -> Any:
    """x + F(x), F of one or two layers."""
    branch = layer(x, w[0])
    return x + (branch if layers == 1 else layer(branch, w[1]))


def scaled(x: Any, w: Any, m: float) -> Any:
    """m x + sqrt(1 - m²) F(x), F of one layer."""
    return m * x + np.sqrt(1 - m * m) * layer(x, w[0])


def log_ratios(block: Callable[[Any, Any], Any], weights: Any, rng: np.random.Generator, variance: float = 1.0) -> Any:
    """ln |g_0|² / |g_l|² for l = 0 ... L: what the first l blocks do to the squared gradient.

    The inputs have the given variance, and every sample a random cotangent of its own on top.
    """
    x, device = np.sqrt(variance) * rng.standard_normal((BATCH, WIDTH)), device_of(weights)
    states = [tr.tensor(to_device(x, device), requires_grad=True)]
    for w in weights:
        states.append(block(states[-1], w))
    gradients = tr.grad(states[-1], states, to_device(rng.standard_normal((BATCH, WIDTH)), device))
    logs = np.log([(g.numpy() ** 2).sum() for g in gradients])  # no BLAS dot: its threads would wait for ours
    return logs[0] - logs


def run(options: Options, tick: Tick) -> Result:
    """Ten nets a residual case, five a case whose gain is the same in every block; deeper ones for the table."""
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
    return Result(
        laws=[*gain_laws(logs), *product_laws(logs)],
        tables=[growth_table(deep)],
        figures={"": lambda figure: draw(figure, curves)},
        data={"log_ratio": {case: curve.tolist() for case, curve in curves.items()}},
        note="what BN, ReLU and a matrix N(0, 2/n) do to the squared gradient: a plain layer or a scaled block "
        "multiplies it by a constant; residual blocks x + F(BN(x)) by less and less, as the variance of x grows.",
    )


def gain_laws(logs: dict[str, list[Any]]) -> list[Law]:
    """Cases in which every block has the same gain: the slope of the logarithm."""
    cases = [("plain", "plain BN + ReLU: gain a layer", normalised.plain_gain(), "Yang et al. 2019")]
    cases += [(f"m={m}", f"BN, skip scaled by {m}: gain a block", normalised.scaled_gain(m), DERIVED) for m in SCALES]
    laws = []
    for case, name, predicted, source in cases:
        slopes = np.array([np.polyfit(np.arange(len(log)), log, 1)[0] for log in logs[case]])
        relative = max(0.03, 3 * slopes.std(ddof=1) / np.sqrt(len(slopes)))
        laws.append(Law(name, float(np.exp(slopes.mean())), predicted, relative * predicted, "asymptotic", source))
    return laws


def product_laws(logs: dict[str, list[Any]]) -> list[Law]:
    """Residual nets: the product over 40 blocks, and the power of the depth that it follows from 10 blocks on."""
    laws = []
    from_ten = np.arange(10, DEPTH + 1)
    for layers, words in ((1, "one layer"), (2, "two layers")):
        found = np.array(logs[f"{layers}"])
        predicted = normalised.residual_gains(DEPTH, layers)[-1]
        relative = max(0.1, 3 * found[:, -1].std(ddof=1) / np.sqrt(SEEDS))
        name = f"BN residual, {words} a branch: gain of {DEPTH} blocks"
        measured = float(np.exp(found[:, -1].mean()))
        laws.append(Law(name, measured, predicted, relative * predicted, "asymptotic", DERIVED))
        grid = np.log(1 + from_ten * normalised.V)
        powers = np.array([np.polyfit(grid, log[from_ten], 1)[0] for log in found])
        power = normalised.residual_power(layers)
        tolerance = max(0.1 * power, 3 * powers.std(ddof=1) / np.sqrt(SEEDS))
        name = f"BN residual, {words} a branch: power of the depth"
        laws.append(Law(name, float(powers.mean()), power, tolerance, "asymptotic", DERIVED))
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
        "Squared gradient at the input over the top's: exponentials and powers of the depth",
        columns,
        rows,
        "identity path halved: 0.5^(2L), what passes through all shortcuts if each is scaled by 0.5. No norm: E3. "
        "The last three: one net of 54, in parentheses the theory of wide nets and large batches. Plain ones fall "
        "behind it by about 1 % a layer, since batch norm projects two of 256 directions away.",
    )


def draw(figure: Any, curves: dict[str, Any]) -> None:
    """Gain against depth on logarithmic axes, where a power is a straight line, and gain a block against m."""
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    depth = np.arange(1, DEPTH + 1)
    lines = [
        (None, 2.0**depth, "C7", "residual without BN: 2ᴸ"),
        ("plain", normalised.plain_gain() ** depth, "C3", "plain BN: 1.467ᴸ"),
        ("2", normalised.residual_gains(DEPTH, 2)[1:], "C1", "BN residual, two layers a branch: about L^2.15"),
        ("1", normalised.residual_gains(DEPTH, 1)[1:], "C0", "BN residual, one layer a branch: about L^1.47"),
    ]
    for case, theory, colour, label in lines:
        left.loglog(depth, theory, "-" if case else "--", color=colour, lw=1, label=None if case else label)
        if case:
            left.loglog(depth, np.exp(curves[case][1:]), "o", color=colour, ms=3.5, label=label)
    left.set(xlabel="layers or blocks passed, L", ylabel="|gradient at input|² / |gradient after L|²", ylim=(0.8, 1e7))
    left.set_title("With shortcuts batch norm turns exponentials into powers\n(dots measured, lines theory)")
    left.legend(fontsize=8, loc="upper left")
    m = np.linspace(0, 1, 101)
    right.plot(m, [normalised.scaled_gain(value) for value in m], "k-", lw=1, label="m² + (1 - m²) π/(π - 1)")
    for value in SCALES:
        slope = np.polyfit(np.arange(SHALLOW + 1), curves[f"m={value}"], 1)[0]
        right.plot(value, np.exp(slope), "oC2", label="measured" if value == SCALES[0] else None)
    right.plot(0, np.exp(np.polyfit(np.arange(DEPTH + 1), curves["plain"], 1)[0]), "oC3", label="plain")
    right.set(xlabel="scale m of the shortcut (branch √(1 - m²))", ylabel="gain of the squared gradient a block")
    right.set_title("A scaled shortcut explodes again")
    right.legend(fontsize=8)


EXPERIMENT = Experiment(
    name="E4",
    claim="batch norm: plain nets explode, residual nets grow only as a power of the depth",
    prediction="plain π/(π-1) a layer; residual ∏ 1 + c/(1 + (l-1)v), v = (π-1)/π; m² + (1-m²)/v a scaled block",
    source="Yang et al. 2019; De & Smith 2020; products derived",
    ticks=lambda options: SEEDS,
    run=run,
    seconds=4,
    starred=True,
    devices=BOTH,
)
