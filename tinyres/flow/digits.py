"""Real digits: plain and residual nets of growing depth, and what becomes of their gradients while they train."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, nn, optim
from tinyres.flow import digits_figures
from tinyres.flow.experiment import Experiment, Options, Result, Tick
from tinyres.flow.record import record
from tinyres.ops.losses import cross_entropy

WIDTH, BATCH, RATE, MOMENTUM, EVERY = 8, 64, 0.1, 0.9, 5
TRAINS = math.log(10) / 4  # a loss that is a quarter of guessing's


def train(arch: str, depth: int, split: data.Split, options: Options, tick: Tick) -> dict[str, Any]:
    """Train one net and record every few steps, per block, the gradient's norm and the share of the skip."""
    model = getattr(models, arch)(depth, WIDTH, in_channels=1, rng=options.seed)
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    loader = data.DataLoader(split.train, BATCH, shuffle=True, seed=options.seed, drop_last=True)
    recording = record(model)
    losses: list[float] = []
    norms: list[list[float]] = []
    shares: list[list[float]] = []
    while len(losses) < options.steps:
        for x, target in loader:
            watched = len(losses) % EVERY == 0
            recording.clear()
            model.zero_grad()
            if watched:
                with recording:
                    loss = cross_entropy(model(x), target)
                    loss.backward()
                norms.append(recording.gradient_norms().tolist())
                shares.append(list(recording.skip_share().values()))
            else:
                loss = cross_entropy(model(x), target)
                loss.backward()
            optimizer.step()
            losses.append(loss.item())
            tick()
            if len(losses) == options.steps:
                break
    tail = max(1, options.steps // 10)
    final = float(np.mean(losses[-tail:]))
    return {
        "arch": arch,
        "depth": depth,
        "parameters": model.parameter_count(),
        "steps": options.steps,
        "train_loss": losses,
        "final_train_loss": final,
        "test_accuracy": accuracy(model, split.test),
        "trains": final < TRAINS,
        "trains_below": TRAINS,
        "blocks": recording.blocks,
        "recorded_steps": list(range(0, options.steps, EVERY)),
        "gradient_norm": norms,
        "skip_share": shares if arch != "plain" else [],
    }


def accuracy(model: nn.Module, dataset: data.Dataset) -> float:
    """The share of right answers with running statistics."""
    model.eval()
    with tr.no_grad():
        answers = model(tr.tensor(dataset.inputs)).argmax(axis=1)
    model.train()
    return float((answers.numpy() == dataset.targets).mean())


def run(options: Options, tick: Tick) -> Result:
    """Every architecture at every depth, on the same batches from the same seed."""
    split = data.digits(seed=options.seed)
    runs = [train(arch, depth, split, options, tick) for depth in options.depths for arch in options.archs]
    figures = {
        "gradients": lambda figure: digits_figures.gradients(figure, runs),
        "training": lambda figure: digits_figures.training(figure, runs),
    }
    if any(r["skip_share"] for r in runs):
        figures["routes"] = lambda figure: digits_figures.routes(figure, runs)
    return Result(training=runs, figures=figures)


EXPERIMENT = Experiment(
    "digits",
    "real digits: which deep nets train?",
    lambda options: options.steps * len(options.depths) * len(options.archs),
    run,
)
