"""One descent step of one player: gradients of its own parameters, checks, the optimiser; and noise on samples."""

from __future__ import annotations

import math

import numpy as np

import tinyres as tr
from tinyres import optim
from tinyres.autograd.tensor import Tensor
from tinyres.training.divergence import all_finite

LIMIT = 1e6  # of losses and scores; healthy training stays far below it


class NotFinite(Exception):
    """A number is NaN or infinite; the message says which, and which player's."""


class TooLarge(Exception):
    """A number is finite, but beyond `LIMIT`; the message says which, and which player's."""


def check_size(what: str, value: float) -> None:
    """Refuse a number that shows that training has diverged.

    Raises:
        NotFinite: it is NaN or infinite.
        TooLarge: its absolute value is above `LIMIT`.
    """
    if not math.isfinite(value):
        raise NotFinite(f"{what} is {value}")
    if abs(value) > LIMIT:
        raise TooLarge(f"{what} is {value:.3g}, beyond {LIMIT:g} in absolute value")


def descend(player: str, loss: Tensor, optimizer: optim.Optimizer) -> tuple[float, float]:
    """One step of a player on its own parameters; returns its loss and the norm of its gradient.

    Raises:
        NotFinite: loss, gradient or a weight after the step.
        TooLarge: the loss.
    """
    value = loss.item()
    check_size(f"the {player}'s loss", value)
    for parameter, gradient in zip(optimizer.params, tr.grad(loss, optimizer.params), strict=True):
        parameter.grad = gradient
    norm = optim.clip_grad_norm_(optimizer.params, math.inf)
    if not math.isfinite(norm):
        raise NotFinite(f"the {player}'s gradient has the norm {norm}")
    optimizer.step()
    optimizer.zero_grad()
    if not all_finite(p.data for p in optimizer.params):
        raise NotFinite(f"a weight of the {player} is no longer finite")
    return value, norm


def check_outputs(*outputs: Tensor) -> None:
    """`check_size` for outputs of D, because hinge and softplus are 0 for huge outputs on the right side."""
    for y in outputs:
        check_size("an output of the discriminator", y.detach().abs().max().item())


def noisy(x: Tensor, sd: float, rng: np.random.Generator) -> Tensor:
    """x + N(0, sd²), entry by entry, drawn on the host; at sd 0 nothing is drawn."""
    return x + tr.tensor((sd * rng.standard_normal(x.shape)).astype(x.dtype)).to(x.device) if sd else x
