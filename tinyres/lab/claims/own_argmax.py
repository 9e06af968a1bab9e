"""Popular claim: it is fine to train a classifier on noise whose labels are the argmax of its own output.

The loss falls because the net becomes more confident; it learns nothing about the world.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models, nn, optim
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Tick
from tinyres.lab.law import standard_error

SEEDS, STEPS, BATCH, RATE = 10, 150, 64, 0.1
SOURCE = "by experiment; chance is one in ten classes"


def train(seed: tuple[int, int], split: data.Split, *, real: bool, device: str = "cpu") -> tuple[list[float], float]:
    """Losses of each step and accuracy on real digits: trained on digits and labels, or on noise and its own argmax."""
    rng = np.random.default_rng(seed)
    model = models.mlp(4, 32, in_channels=1, rng=rng).to(device)
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    measure = nn.CrossEntropyLoss()
    losses = []
    for _ in range(STEPS):
        if real:
            chosen = rng.integers(len(split.train), size=BATCH)
            x, target = split.train.inputs[chosen], split.train.targets[chosen]
            logits, target = model(tr.tensor(x).to(device)), tr.tensor(target).to(device)
        else:
            logits = model(tr.tensor(rng.random((BATCH, 1, 8, 8), dtype=np.float32)).to(device))
            target = tr.argmax(logits, 1)
        loss = measure(logits, target)
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with tr.no_grad():
        answers = model(tr.tensor(split.test.inputs).to(device)).numpy().argmax(axis=1)
    return losses, float((answers == split.test.targets).mean())


def run(options: Options, tick: Tick) -> Result:
    """Ten nets of each kind from the same weights; accuracy on the held-out digits."""
    split = data.digits(seed=options.seed)
    losses: dict[bool, list[list[float]]] = {False: [], True: []}
    scores: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(SEEDS):
        for real in (False, True):
            curve, score = train((options.seed, seed), split, real=real, device=options.device)
            losses[real].append(curve)
            scores[real].append(score)
            tick()
    own = np.mean(losses[False], axis=0)
    chance, taught = float(np.mean(scores[False])), float(np.mean(scores[True]))
    error = standard_error(scores[False])
    each = np.array(losses[False])
    fallen = 1 - each[:, -5:].mean(axis=1) / each[:, 0]
    laws = [
        Law.of_mean("its own argmax on noise: share of the loss that is gone", fallen, 0.9, SOURCE, kind="ordering"),
        Law.of_mean("its own argmax on noise: accuracy on real digits", scores[False], 0.1, SOURCE, room=0.02),
        Law.of_mean("labels: accuracy on real digits", scores[True], 0.8, SOURCE, kind="ordering"),
    ]
    note = f"Means of {SEEDS} nets after {STEPS} steps, on the held-out digits."
    told = (
        f"Trained on the argmax of its own output the loss falls from {own[0]:.2f} to {own[-1]:.0e}, and the "
        f"accuracy on real digits is {chance:.1%} ± {error:.1%} (standard error), while labels give {taught:.0%}: a "
        "falling loss shows that something is being fitted, not what."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, losses, scores)}, note=note, found=told)


def draw(figure: Any, losses: dict[bool, list[list[float]]], scores: dict[bool, list[float]]) -> None:
    """Losses fall in both cases; accuracy tells them apart."""
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for k, (real, label) in enumerate([(False, "noise, own argmax"), (True, "digits, labels")]):
        left.plot(np.mean(losses[real], axis=0), color=f"C{k}", label=label)
        spread = np.linspace(-0.15, 0.15, SEEDS)
        right.plot(k + spread, scores[real], "o", color=f"C{k}", ms=5)
    left.set(xlabel="step", ylabel="training loss", title="Both losses fall")
    left.legend()
    right.axhline(0.1, color="k", lw=1, ls="--")
    right.text(1.45, 0.115, "chance", ha="right")
    right.set(xticks=[0, 1], xticklabels=["noise, own argmax", "digits, labels"], xlim=(-0.5, 1.5), ylim=(0, 1))
    right.set(ylabel="accuracy on held-out digits", title="Only one has learned to read")


EXPERIMENT = Experiment(
    name="claim-argmax",
    question="Can a classifier learn from noise with its own predictions as labels?",
    claim="'fine to train a classifier on the argmax of its own output, on noise'",
    prediction="the loss falls; accuracy on real digits stays at chance, 10 %",
    source=SOURCE,
    ticks=lambda options: 2 * SEEDS,
    run=run,
    seconds=3,
    devices=BOTH,
    varies="weights and noise of all nets, batches, and which digits are held out",
    conditions=f"The verdict is on the mean of {SEEDS} nets, with three standard errors: a single net may be lucky, "
    "since a constant answer is right for about one digit in ten.",
)
