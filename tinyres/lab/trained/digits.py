"""Train plain and residual nets of increasing depth on real digits, and record their gradients.

He et al. 2016 [he2016deep], "Deep residual learning for image recognition", figure 6 (there on CIFAR-10).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tinyres import data, training
from tinyres.flow.instruments.record import record
from tinyres.lab.experiment import BOTH, Experiment, InPieces, Law, Options, Result, Table, Tick, shown
from tinyres.lab.trained import digits_figures
from tinyres.lab.trained.digits_figures import NAMES

EVERY = 5  # steps from one recorded to the next
RECIPE = training.Recipe(width=8, batch_size=64, lr=0.1, momentum=0.9, weight_decay=0.0, schedule="constant")
GUESSING = math.log(10)
TRAINS = GUESSING / 4  # a loss that is a quarter of guessing's
JUDGED, STEPS = 56, 200  # layers and steps of what has a verdict
SOURCE = "He et al. 2016, figure 6"


def train(options: Options, net: tuple[str, int], tick: Tick) -> dict[str, Any]:
    """Train one net and record every few steps, per block, the gradient's norm and the share of the skip.

    All nets see the same batches from the same seed.
    """
    arch, depth = net
    split = data.digits(seed=options.seed)
    recipe = replace(RECIPE, arch=arch, depth=depth, steps=options.steps, seed=options.seed)
    run = training.prepare(recipe, split, device=options.device)
    recording = record(run.model, every=EVERY, details=False)
    for _ in run.steps(recording):
        tick()
    history = recording.history()
    return {
        "arch": arch,
        "depth": depth,
        "parameters": run.model.parameter_count(),
        "steps": options.steps,
        "train_loss": run.losses,
        "final_train_loss": run.final_loss,
        "test_accuracy": run.score().accuracy,
        "trains": run.final_loss < TRAINS,
        "trains_below": TRAINS,
        "blocks": recording.blocks,
        "recorded_steps": history.labels["step"],
        "gradient_norm": history["backward_norm"].tolist(),
        "skip_share": history["skip_share"].tolist() if history["skip_share"].size else [],
    }


def gather(options: Options, runs: list[dict[str, Any]]) -> Result:
    """What all nets show together."""
    figures = {
        "gradients": lambda figure: digits_figures.gradients(figure, runs),
        "training": lambda figure: digits_figures.training(figure, runs),
    }
    if len(options.archs) > 1:
        figures = {"": lambda figure: digits_figures.deepest(figure, runs), **figures}
    if any(r["skip_share"] for r in runs):
        figures["routes"] = lambda figure: digits_figures.routes(figure, runs)
    return Result(laws=laws(runs), tables=[table(runs)], figures=figures, data={"training": runs},
                  found=found(runs), note=ways_back(runs))  # fmt: skip


def laws(runs: list[dict[str, Any]]) -> list[Law]:
    """At 56 layers the residual net trains and the plain one does not; anything else that was asked for is shown."""
    made = []
    for run in runs:
        loss, name = run["final_train_loss"], f"{run['arch']}, {run['depth']} layers"
        judged = run["depth"] == JUDGED and run["steps"] >= STEPS
        if judged and run["arch"] == "resnet":
            text = f"{name}, trains: guessing's loss, divided by its own"
            made.append(Law(text, GUESSING / loss, 4.0, 0.0, "ordering", SOURCE))
        elif judged and run["arch"] == "plain":
            text = f"{name}, does not train: its loss, divided by guessing's"
            made.append(Law(text, loss / GUESSING, TRAINS / GUESSING, 0.0, "ordering", SOURCE))
        else:
            made.append(shown(f"{name}: its loss, divided by guessing's", loss / GUESSING, SOURCE))
    return made


def found(runs: list[dict[str, Any]]) -> str:
    """What the deepest nets show: how the gradient grows towards the input, and what the test set says."""
    deepest = max(run["depth"] for run in runs)
    pair = [run for run in runs if run["depth"] == deepest]
    grown: list[str] = []
    for run in pair:
        name, way, times = NAMES.get(run["arch"], run["arch"]), *_growth(run)
        said = f"the {name} net's {'gradient ' if not grown else ''}{way} {times:,.0f}-fold towards the input"
        if grown and f" {way} " in grown[0]:
            said = f"the {name} net's {times:,.0f}-fold"
        grown.append(said)
    known = " against ".join(f"{100 * run['test_accuracy']:.0f} %" for run in pair)
    return f"{deepest} layers: {', '.join(grown)}; {known} test accuracy after {pair[0]['steps']} steps."


def ways_back(runs: list[dict[str, Any]]) -> str:
    """By which route the gradient comes back in the deepest residual net, before training and after it."""
    residual = [run for run in runs if run["skip_share"]]
    if not residual:
        return ""
    shares = np.array(max(residual, key=lambda run: run["depth"])["skip_share"])
    before, after = 100 * shares[0].mean(), 100 * shares[-5:].mean()
    return (
        f"Of the gradient at the residual net's block inputs, {before:.0f} % comes through the skip connections "
        f"before training and {after:.0f} % after it (mean over blocks)."
    )


def _growth(run: dict[str, Any]) -> tuple[str, float]:
    """How much larger or smaller the gradient is at the first block than at the last, before training."""
    first = run["gradient_norm"][0]
    ratio = first[0] / first[-1] if first[-1] else math.nan
    return ("shrinks", 1 / ratio if ratio else math.inf) if ratio < 1 else ("grows", ratio)


def table(runs: list[dict[str, Any]]) -> Table:
    """Which net trains and which does not."""
    rows = []
    for run in runs:
        first = run["gradient_norm"][0]
        share = f"{np.mean(run['skip_share'][0]):.0%}" if run["skip_share"] else "-"
        rows.append(
            [
                run["arch"],
                run["depth"],
                f"{run['final_train_loss']:.3f}",
                f"{run['test_accuracy']:.1%}",
                f"{first[0] / first[-1]:.3g}",
                share,
                "yes" if run["trains"] else "no",
            ]
        )
    note = (
        f"loss: training loss, mean of the last tenth of {runs[0]['steps']} steps; a net trains if it is below "
        f"{TRAINS:.2f}, a quarter of ln 10, the loss of guessing among ten digits. accuracy: on the test set, with "
        "batch norm's running statistics. They lag behind a net that changes much in a step: its accuracy may be that "
        "of guessing although its training loss has fallen. first/last: norm of the gradient at the first block's "
        "output, divided by that at the last block's, at the first step. skip: |skip| / (|skip| + |branch|) of what "
        "comes back to a block's input, mean over blocks, at the first step."
    )
    columns = ("net", "layers", "loss", "accuracy", "first/last", "skip", "trains?")
    return Table("Real digits: which nets train?", columns, rows, note)


EXPERIMENT = Experiment(
    name="digits",
    question="Which deep nets learn to read digits, and what happens to their gradients during training?",
    claim="real digits: which deep nets train?",
    prediction="a deep residual net trains; without its skip connections the same net does not",
    source="He et al. 2016, figure 6 (there on CIFAR-10)",
    ticks=lambda options: options.steps * len(options.depths) * len(options.archs),
    run=InPieces(
        pieces=lambda options: [(arch, depth) for depth in options.depths for arch in options.archs],
        measure=train,
        gather=gather,
        cost=lambda net: net[1] * (1.2 if net[0] == "resnet" else 1),  # two routes are recorded
    ),
    seconds=25,
    devices=BOTH,
    equation=r"\ell(\mathrm{ResNet}_{56}) < \frac{\ln 10}{4} < \ell(\mathrm{plain}_{56})",
    varies="weights, the split of the digits and the order of the batches",
    seeds=5,
    conditions=f"{JUDGED} layers of width {RECIPE.width}, {STEPS} steps or more of {RECIPE.batch_size} digits at rate "
    f"{RECIPE.lr} and momentum {RECIPE.momentum}. ln 10 = 2.30 is the loss of guessing among ten digits, and a net "
    "trains if its loss falls below a quarter of that. Other depths, architectures and lengths are shown without a "
    "verdict.",
)
