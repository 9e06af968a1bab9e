"""E16, degradation: more layers make a plain net worse on its own training images, but not a residual net.

He et al. 2016 [he2016deep], "Deep residual learning for image recognition", figures 1 and 6 (there on CIFAR-10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinyres import data, training
from tinyres.figures import palette
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.lab.law import half_width
from tinyres.lab.trained.own_seeds import own_seeds

ARCHS, DEPTHS = ("plain", "resnet"), (20, 56)
STEPS, SEEDS = 200, 5
RECIPE = training.Recipe(width=8, batch_size=64, lr=0.1, weight_decay=0.0, schedule="cosine", warmup=0.25)
NAMES = {"plain": "plain", "resnet": "residual"}
COLOURS = {"plain": palette.PLAIN, "resnet": palette.RESIDUAL}
SOURCE = "He et al. 2016, figure 6"

Curves = dict[tuple[str, int], list[list[float]]]  # (arch, depth): for each seed the loss of each step


def train(arch: str, depth: int, split: data.Split, seed: int, tick: Tick, device: str = "cpu") -> list[float]:
    """The training loss of each step; every net of one seed sees the same batches."""
    run = training.prepare(replace(RECIPE, arch=arch, depth=depth, steps=STEPS, seed=seed), split, device=device)
    for _ in run.steps():
        tick()
    return run.losses


def run(options: Options, tick: Tick) -> Result:
    """Plain and residual nets of 20 and 56 layers, five seeds each, on the same batches."""
    curves: Curves = {(arch, depth): [] for arch in ARCHS for depth in DEPTHS}
    for seed in own_seeds(options.seed, SEEDS):
        split = data.digits(seed=seed)
        for (arch, depth), runs in curves.items():
            runs.append(train(arch, depth, split, seed, tick, options.device))
    finals = {net: np.array([final(losses) for losses in runs]) for net, runs in curves.items()}
    return Result(
        laws=laws(finals),
        tables=[table(finals)],
        figures={"": lambda figure: draw(figure, curves, finals)},
        data={"train_loss": {f"{arch}-{depth}": runs for (arch, depth), runs in curves.items()}},
        note="Loss: training loss in nats, mean of the last tenth of the steps. Tolerance: half of the 95 % interval "
        "of the mean difference (t, paired by seed).",
        found=found(finals),
    )


def final(losses: list[float]) -> float:
    """The mean of the last tenth of the steps."""
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def found(finals: Mapping[tuple[str, int], Any]) -> str:
    """The mean losses, with intervals."""
    ends = {net: f"{values.mean():.3f} ± {half_width(values):.3f}" for net, values in finals.items()}
    short, deep = DEPTHS
    less = finals["resnet", deep] - finals["resnet", short]
    return (
        f"From {short} to {deep} layers the training loss of plain nets goes from {ends['plain', short]} to "
        f"{ends['plain', deep]}, that of residual nets from {ends['resnet', short]} to {ends['resnet', deep]} (mean of "
        f"{len(finals['plain', deep])} nets, 95 % interval); ResNet-{deep}'s minus "
        f"ResNet-{short}'s is {less.mean():+.2g} ± {half_width(less):.2g}."
    )


def laws(finals: Mapping[tuple[str, int], Any]) -> list[Law]:
    """Plain nets degrade; a residual net of the same depth does not."""
    short, deep = DEPTHS
    plain, residual = (finals[arch, deep] - finals["plain", short] for arch in ARCHS)  # (seeds,)

    def above_zero(name: str, values: Any) -> Law:
        return Law.of_mean(name, values, 0.0, SOURCE, kind="ordering", noise=half_width)

    deeper = finals["resnet", deep] - finals["resnet", short]
    return [
        above_zero(f"plain-{deep}'s loss less plain-{short}'s", plain),
        above_zero(f"plain-{short}'s loss less ResNet-{deep}'s", -residual),
        shown(f"ResNet-{deep}'s loss less ResNet-{short}'s", float(deeper.mean()), SOURCE),
    ]


def table(finals: Mapping[tuple[str, int], Any]) -> Table:
    """Final training loss of each net."""
    rows = [
        [NAMES[arch], depth, f"{values.mean():.3f} ± {half_width(values):.3f}", " ".join(f"{v:.3f}" for v in values)]
        for (arch, depth), values in finals.items()
    ]
    columns = ("net", "layers", "training loss", "of each seed")
    return Table("Training loss at the end", columns, rows, "± half of the 95 % interval; guessing has 2.303.")


def smoothed(curves: list[list[float]], window: int) -> Any:
    """(seeds, steps) -> (seeds, steps - window + 1): means over `window` steps."""
    kernel = np.ones(window) / window
    return np.array([np.convolve(losses, kernel, "valid") for losses in curves])


def draw(figure: Any, curves: Curves, finals: Mapping[tuple[str, int], Any]) -> None:
    """Training loss over the steps, mean and range over seeds, and where it ends, with intervals."""
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    window = max(1, len(next(iter(curves.values()))[0]) // 20)
    style: Callable[[int], str] = lambda depth: "--" if depth == DEPTHS[0] else "-"
    for (arch, depth), found in curves.items():
        values = np.maximum(smoothed(found, window), 1e-12)
        steps = np.arange(window, window + values.shape[1])
        label = f"{NAMES[arch]}, {depth} layers"
        left.semilogy(steps, values.mean(axis=0), style(depth), color=COLOURS[arch], label=label)
        left.fill_between(steps, values.min(axis=0), values.max(axis=0), color=COLOURS[arch], alpha=0.15, lw=0)
    left.axhline(np.log(10), color="0.6", lw=1)
    left.text(0.99, np.log(10) * 1.05, "guessing", color="0.4", ha="right", transform=left.get_yaxis_transform())
    left.set(xlabel="training step", ylabel=f"training loss, mean of {window} steps")
    left.set_title("Mean over seeds; band: lowest to highest seed")
    left.legend(fontsize=8, loc="lower left")
    for place, ((arch, depth), values) in enumerate(finals.items()):
        fill = "white" if depth == DEPTHS[0] else COLOURS[arch]
        right.bar(place, values.mean(), 0.6, color=fill, edgecolor=COLOURS[arch], alpha=0.6, lw=1.5)
        right.errorbar(place, values.mean(), half_width(values), color="k", capsize=5)
        right.plot(np.full(len(values), place), values, ".", color="k", ms=4)
    right.set(xticks=range(len(finals)), ylabel=f"training loss, last {max(1, STEPS // 10)} steps", ylim=(0, None))
    right.set_xticklabels([f"{NAMES[arch]}\n{depth} layers" for arch, depth in finals])
    right.set_title("At the end: mean and 95 % interval")


EXPERIMENT = Experiment(
    name="degradation",
    question="Does a deeper net fit its training images at least as well?",
    claim="more layers make a plain net worse on its own training images; with skip connections they do not",
    prediction="training loss: plain-56 above plain-20; ResNet-56 below plain-20",
    source="He et al. 2016, figures 1 and 6 (there on CIFAR-10)",
    ticks=lambda options: len(ARCHS) * len(DEPTHS) * SEEDS * STEPS,
    run=run,
    seconds=100,
    devices=BOTH,
    equation=r"\ell(\mathrm{plain}_{56}) > \ell(\mathrm{plain}_{20}) > \ell(\mathrm{ResNet}_{56})",
    varies=f"weights, splits and batches of all {SEEDS} trainings of each net",
    conditions=f"Digits, width {RECIPE.width}, {STEPS} steps of {RECIPE.batch_size} images, rate rising to {RECIPE.lr} "
    f"in the first {RECIPE.warmup:.0%} of the steps and then falling to 0 as a cosine; the same batches for all four "
    "nets of a seed. After so few steps ResNet-56 may still be behind ResNet-20: that pair has no verdict.",
    choices=(
        "The rate rises over the first quarter of the steps. Without this warm-up the first steps set one ResNet-56 of "
        "five back to guessing, and the intervals overlapped.",
    ),
)
