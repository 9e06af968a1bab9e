"""Gradient check of one residual block on real digits, by central differences: the basis of all other results."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models
from tinyres.arrays import to_device
from tinyres.lab.experiment import BOTH, Experiment, Law, Options, Result, Tick
from tinyres.ops.losses import cross_entropy

STEP = 1e-6


def run(options: Options, tick: Tick) -> Result:
    """d loss along a random direction of each parameter of a block: by reverse mode, and by (f(+h) - f(-h)) / 2h."""
    train, _ = data.digits(seed=options.seed, dtype="float64")
    rng = np.random.default_rng(options.seed)
    model = models.resnet(8, width=8, in_channels=1, rng=rng)
    model = model.to("float64").to(options.device)
    x, labels = (tr.tensor(part[:32]).to(options.device) for part in (train.inputs, train.targets))
    block = model.blocks[1]  # where the image is halved and the channels doubled, so that its shortcut works, too

    def loss() -> Any:
        return cross_entropy(model(x), labels)

    parameters = dict(block.named_parameters())
    gradients = tr.grad(loss(), parameters.values())
    laws = []
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        centre = parameter.numpy()
        direction = rng.standard_normal(centre.shape) * (np.abs(centre).mean() or 1.0)  # zeros move by about one
        ends = []
        for sign in (1, -1):
            parameter.data = to_device(centre + sign * STEP * direction, options.device)
            with tr.no_grad():
                ends.append(loss().item())
        parameter.data = to_device(centre, options.device)
        difference = (ends[0] - ends[1]) / (2 * STEP)
        slope = float((gradient.numpy() * direction).sum())
        tolerance = 1e-6 * abs(difference)
        laws.append(Law(name.removeprefix("body."), slope, difference, tolerance, "check", "central differences"))
        tick()
    worst = max(abs(law.measured / law.predicted - 1) for law in laws)
    return Result(
        laws,
        note="Each row: d loss along a random direction of one parameter of block 1, on real digits.",
        found=f"For all {len(laws)} parameters of a residual block, on real digits, reverse mode and central "
        f"differences agree to a relative {worst:.0e}.",
    )


EXPERIMENT = Experiment(
    name="check",
    question="Every other result rests on the gradients: are they correct?",
    claim="the gradients are correct: a real block compared with finite differences",
    prediction="d loss along a direction v = (loss(w + h v) - loss(w - h v)) / 2h, to a relative 1e-6",
    equation=r"v^\top \nabla L(w) = \frac{L(w + h v) - L(w - h v)}{2h} + O(h^2)",
    source="central differences",
    ticks=lambda options: 6,
    run=run,
    seconds=1,
    devices=BOTH,
    varies="weights, directions and the choice of digits",
    conditions=f"float64 and h = {STEP:g}, with directions about as long as the weights: rounding and neglected "
    "curvature are then both below 1e-6. A direction that crosses the kink of a ReLU would disagree by more, but that "
    "takes a unit within about 1e-6 of zero.",
)
