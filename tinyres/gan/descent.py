"""One step of one player: gradients of its own parameters, a check, the optimiser; and the noise on samples."""

from __future__ import annotations

import math

import numpy as np

import tinyres as tr
from tinyres import optim
from tinyres.backend import namespace
from tinyres.tensor import Tensor


class NotFinite(Exception):
    """What is not finite, and whose."""


def descend(player: str, loss: Tensor, optimizer: optim.Optimizer) -> tuple[float, float]:
    """One step of a player on its own parameters; its loss and the norm of its gradient.

    Raises:
        NotFinite: loss, gradient or a weight after the step.
    """
    value = loss.item()
    if not math.isfinite(value):
        raise NotFinite(f"the {player}'s loss is {value}")
    for parameter, gradient in zip(optimizer.params, tr.grad(loss, optimizer.params), strict=True):
        parameter.grad = gradient
    norm = optim.clip_grad_norm_(optimizer.params, math.inf)
    if not math.isfinite(norm):
        raise NotFinite(f"the {player}'s gradient has the norm {norm}")
    optimizer.step()
    optimizer.zero_grad()
    if not all(bool(namespace(p.data).isfinite(p.data).all()) for p in optimizer.params):
        raise NotFinite(f"a weight of the {player} is no longer finite")
    return value, norm


def noisy(x: Tensor, sd: float, rng: np.random.Generator) -> Tensor:
    """x + N(0, sd²), entry by entry; at sd 0 nothing is drawn."""
    return x + tr.tensor((sd * rng.standard_normal(x.shape)).astype(x.dtype)) if sd else x
