"""The gradient check that shows the other figures are true: one residual block, real digits, central differences."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres import data, models
from tinyres.flow.experiment import Experiment, Law, Options, Result, Tick
from tinyres.ops.losses import cross_entropy

STEP = 1e-6


def run(options: Options, tick: Tick) -> Result:
    """d loss along a random direction of each parameter of a block: by reverse mode, and by (f(+h) - f(-h)) / 2h."""
    train, _ = data.digits(seed=options.seed, dtype="float64")
    rng = np.random.default_rng(options.seed)
    model = models.resnet(8, width=8, in_channels=1, rng=rng).to("float64")
    x, labels = tr.tensor(train.inputs[:32]), train.targets[:32]
    block = model.blocks[1]  # where the image is halved and the channels doubled, so that its shortcut works, too

    def loss() -> Any:
        return cross_entropy(model(x), labels)

    parameters = dict(block.named_parameters())
    gradients = tr.grad(loss(), parameters.values())
    laws = []
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        centre = parameter.data
        direction = rng.standard_normal(centre.shape) * (np.abs(centre).mean() or 1.0)  # zeros move by about one
        ends = []
        for sign in (1, -1):
            parameter.data = centre + sign * STEP * direction
            with tr.no_grad():
                ends.append(loss().item())
        parameter.data = centre
        difference = (ends[0] - ends[1]) / (2 * STEP)
        slope = float((gradient.numpy() * direction).sum())
        tolerance = 1e-6 * abs(difference)
        laws.append(Law(name.removeprefix("body."), slope, difference, tolerance, "check", "central difference"))
        tick()
    return Result(laws)


EXPERIMENT = Experiment("check", "gradients of a real block: finite differences", lambda options: 6, run)
