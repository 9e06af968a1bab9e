"""Lesion study of trained nets: a residual net barely notices a missing block, a plain one cannot do without any.

Veit et al. 2016 [veit2016residual], "Residual networks behave like ensembles of relatively shallow networks", figures 3
to 5 (there on CIFAR-10, ResNet-110 against VGG).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinyres import data, nn, training
from tinyres.figures import palette
from tinyres.flow.instruments.lesions import dropped, lesion, lesionable_blocks
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.law import half_width
from tinyres.lab.trained.own_seeds import own_seeds

DEPTH, WIDTH, STEPS = 20, 8, 250  # 9 blocks: few, where Veit et al. have 54
RECIPE = training.Recipe(
    depth=DEPTH, width=WIDTH, steps=STEPS, batch_size=64, lr=0.1, momentum=0.9, weight_decay=0.0, schedule="constant"
)
SEEDS, DRAWS = 5, 10
CHANCE = 0.1
VEIT = "Veit et al. 2016"
NAMES = {"resnet": "residual", "plain": "plain"}
COLOURS = {"plain": palette.PLAIN, "resnet": palette.RESIDUAL}


def trained(arch: str, seed: int, device: str = "cpu") -> training.Run:
    """A net after 250 steps; both kinds get the same batches."""
    run = training.prepare(replace(RECIPE, arch=arch, seed=seed), device=device)
    for _ in run.steps():
        pass
    return run


def error_curve(model: nn.Module, names: list[str], test: data.Dataset, rng: np.random.Generator) -> list[float]:
    """Error with 0, 1, ..., all of the named blocks left out at once: the mean of ten random choices."""
    errors = []
    for count in range(len(names) + 1):
        found = []
        for _ in range(DRAWS if 0 < count < len(names) else 1):
            with dropped(model, rng.choice(names, count, replace=False).tolist()):
                found.append(1 - training.evaluate(model, test).accuracy)
        errors.append(float(np.mean(found)))
    return errors


def run(options: Options, tick: Tick) -> Result:
    """Five nets of each kind: each block left out alone, then several at random."""
    base: dict[str, list[Any]] = {arch: [] for arch in NAMES}
    drop: dict[str, list[Any]] = {arch: [] for arch in NAMES}
    errors: dict[str, list[Any]] = {arch: [] for arch in NAMES}
    for seed in own_seeds(options.seed, SEEDS):
        for arch in NAMES:
            finished = trained(arch, seed, options.device)
            model, test = finished.model, finished.test
            alone = lesion(model, test)
            base[arch].append(float(alone["base_accuracy"]))
            drop[arch].append(alone["drop_accuracy"])
            fits = np.flatnonzero(np.isfinite(alone["drop_accuracy"]))
            names = [lesionable_blocks(model)[i] for i in fits]
            errors[arch].append(error_curve(model, names, test, np.random.default_rng(seed)))
            tick()
    common = np.isfinite(np.array(drop["plain"])).all(axis=0)  # the blocks that both can be without
    kept = {arch: known(np.array(drop[arch])[:, common], np.array(base[arch])) for arch in NAMES}
    return Result(
        laws=laws(base, kept),
        tables=[table(base, drop, common)],
        figures={"": lambda figure: draw(figure, base, drop, errors)},
        data={"base_accuracy": base, "errors": errors, "kept": {arch: k.tolist() for arch, k in kept.items()}},
        note="Tolerance: half of the 95 % interval of the mean over nets. Kept: (accuracy without a block - chance) / "
        "(accuracy - chance), mean over the blocks that a plain net can be without, those that keep the shape.",
        found=found(kept),
    )


def known(accuracy: Any, base: Any) -> Any:
    """(accuracy - chance) / (base - chance), mean over blocks: (seeds, blocks), (seeds,) -> (seeds,)."""
    return (accuracy.mean(axis=1) - CHANCE) / (base - CHANCE)


def found(kept: dict[str, Any]) -> str:
    """What is kept, with intervals."""
    shares = {arch: f"{np.mean(k):.0%} ± {half_width(k):.0%}" for arch, k in kept.items()}
    return (
        f"Without one block a residual net keeps {shares['resnet']} of what it knows beyond chance, a plain net "
        f"{shares['plain']} (mean of {len(kept['plain'])} nets each, 95 % interval)."
    )


def laws(base: dict[str, list[Any]], kept: dict[str, Any]) -> list[Law]:
    """Both kinds train; the residual net keeps most of what it knows, the plain one loses most of it."""

    def above(name: str, values: Any, least: float) -> Law:
        return Law.of_mean(name, values, least, VEIT, kind="ordering", noise=half_width)

    return [
        *(above(f"{name} net: accuracy above", base[arch], 0.75) for arch, name in NAMES.items()),
        above("residual net: kept without one block, above", kept["resnet"], 0.5),
        above("plain net: lost without one block, above", 1 - kept["plain"], 0.5),
        above("kept by the residual net less kept by the plain one, above", kept["resnet"] - kept["plain"], 0.0),
    ]


def table(base: dict[str, list[Any]], drop: dict[str, list[Any]], common: Any) -> Table:
    """Accuracies in per cent, mean over seeds: the whole net, and without each block."""
    rows = []
    for block in range(len(common)):
        row = [f"{block + 1}"]
        for arch in NAMES:
            values = 100 * np.array(drop[arch])[:, block]
            row.append("changes the shape" if np.isnan(values).any() else f"{values.mean():.0f}")
        rows.append(row)
    rows.append(["none", *(f"{100 * np.mean(base[arch]):.0f}" for arch in NAMES)])
    columns = ["block left out", *(f"{name} net, accuracy in %" for name in NAMES.values())]
    return Table("What a trained net knows without one of its blocks", columns, rows, "Chance is 10 %.")


def draw(figure: Any, base: dict[str, list[Any]], drop: dict[str, list[Any]], errors: dict[str, list[Any]]) -> None:
    """Accuracy without each block, and error against the number of blocks left out (figures 3 and 5 of the paper)."""
    left, right = figure.subplots(1, 2)
    for arch, name in NAMES.items():
        colour, accuracy = COLOURS[arch], np.array(drop[arch])
        blocks = 1 + np.arange(accuracy.shape[1])
        left.axhline(np.mean(base[arch]), color=colour, ls="--", lw=1, label=f"{name}, whole net")
        left.plot(blocks, accuracy.T, ".", color=colour, ms=4, alpha=0.5)
        left.plot(blocks, accuracy.mean(axis=0), "o", color=colour, ms=7, label=f"{name}, block left out")
        curves = np.array(errors[arch])
        counts = np.arange(curves.shape[1])
        right.plot(counts, curves.T, "-", color=colour, lw=0.6, alpha=0.5)
        right.plot(counts, curves.mean(axis=0), "o-", color=colour, label=f"{name} net")
    left.axhline(CHANCE, color="0.6", lw=1, label="chance")
    left.set(xlabel="block left out (1 = input side)", ylabel="test accuracy", ylim=(0, 1.02))
    left.set_title("One block left out (small: seeds)\na plain net cannot lose those that change the shape")
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)  # below: it would hide dots
    right.axhline(1 - CHANCE, color="0.6", lw=1, label="chance")
    right.set(xlabel="blocks left out at random", ylabel="test error", ylim=(0, 1))
    right.set_title("Error against the number of blocks left out (thin: seeds)")
    right.legend(fontsize=8, loc="lower right")


EXPERIMENT = Experiment(
    name="lesions",
    question="What does a trained net lose when one of its blocks is taken out?",
    claim="a trained residual net loses little without a block, a plain one cannot do without any",
    prediction="residual: most of the accuracy is kept; plain: most of it is lost (ordering)",
    source="Veit et al. 2016, figures 3 to 5 (there on CIFAR-10)",
    ticks=lambda options: 2 * SEEDS,
    run=run,
    seconds=45,
    devices=BOTH,
    equation=r"\frac{a_{-l} - 1/10}{a - 1/10} > \frac{1}{2} \;\mathrm{(residual)}, \qquad"
    r" \frac{a_{-l} - 1/10}{a - 1/10} < \frac{1}{2} \;\mathrm{(plain)}",
    varies=f"weights, splits and batches of all {SEEDS} nets of each kind, and which blocks are left out together",
    conditions=f"Digits, {DEPTH} layers of width {WIDTH}, 9 blocks where Veit et al. have 54, {STEPS} steps. A "
    "plain net cannot be without the two blocks that change the shape: neither kind is judged by them.",
)
