"""Real digits: plain and residual nets of growing depth, and what becomes of their gradients while they train."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from tinyres import data, training
from tinyres.flow.experiments.experiment import BOTH, Experiment, Options, Result, Table, Tick
from tinyres.flow.experiments.trained import digits_figures
from tinyres.flow.instruments.record import record

EVERY = 5  # steps from one recorded to the next
RECIPE = training.Recipe(width=8, batch_size=64, lr=0.1, momentum=0.9, weight_decay=0.0, schedule="constant")
TRAINS = math.log(10) / 4  # a loss that is a quarter of guessing's


def train(arch: str, depth: int, split: data.Split, options: Options, tick: Tick) -> dict[str, Any]:
    """Train one net and record every few steps, per block, the gradient's norm and the share of the skip."""
    recipe = replace(RECIPE, arch=arch, depth=depth, steps=options.steps, seed=options.seed)
    run = training.prepare(recipe, split, device=options.device)
    recording = record(run.model, every=EVERY)
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


def run(options: Options, tick: Tick) -> Result:
    """Every architecture at every depth, on the same batches from the same seed."""
    split = data.digits(seed=options.seed)
    runs = [train(arch, depth, split, options, tick) for depth in options.depths for arch in options.archs]
    figures = {
        "gradients": lambda figure: digits_figures.gradients(figure, runs),
        "training": lambda figure: digits_figures.training(figure, runs),
    }
    if len(options.archs) > 1:
        figures = {"": lambda figure: digits_figures.deepest(figure, runs), **figures}
    if any(r["skip_share"] for r in runs):
        figures["routes"] = lambda figure: digits_figures.routes(figure, runs)
    return Result(tables=[table(runs)], figures=figures, data={"training": runs})


def table(runs: list[dict[str, Any]]) -> Table:
    """Who trains and who does not."""
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
                "trains" if run["trains"] else "does not",
            ]
        )
    note = (
        f"loss: training loss, mean of the last tenth of {runs[0]['steps']} steps; it 'trains' below {TRAINS:.2f}, a "
        "quarter of guessing's. accuracy: on the test set. first/last: norm of the gradient at the first block's "
        "output over the last block's, at the first step. skip: |skip| / (|skip| + |branch|) of what comes back to a "
        "block's input, mean over blocks, at the first step."
    )
    columns = ("net", "layers", "loss", "accuracy", "first/last", "skip", "verdict")
    return Table("Real digits: who trains?", columns, rows, note)


EXPERIMENT = Experiment(
    name="digits",
    claim="real digits: which deep nets train?",
    prediction="a deep residual net trains; without its shortcuts the same net does not",
    source="He et al. 2015, figure 6 (there on CIFAR-10)",
    ticks=lambda options: options.steps * len(options.depths) * len(options.archs),
    run=run,
    seconds=20,
    devices=BOTH,
)
