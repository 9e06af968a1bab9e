"""Schedules that go up again: a cosine that restarts, and one single cycle up and down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinyres.optim.optimizer import Optimizer
from tinyres.optim.schedules import LRScheduler, _at_least


class CosineAnnealingWarmRestarts(LRScheduler):
    """A cosine that begins anew: eta_min + (lr_0 - eta_min) (1 + cos(pi t' / T)) / 2, with t' counted from the restart.

    The first cycle takes T = T_0 steps, each later one T_mult times as many as the one before. Unlike PyTorch's, `step`
    takes no fraction of an epoch: count batches, with T_0 in batches.
    Loshchilov & Hutter 2017 [loshchilov2017sgdr], "SGDR: stochastic gradient descent with warm restarts".

    Raises:
        ValueError: T_0 or T_mult is no whole number of at least 1.
    """

    T_0: int
    T_mult: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if value < 1 or value != int(value):
                raise ValueError(f"{type(self).__name__}: {name} must be a whole number of at least 1, got {value}")
        super().__init__(optimizer, T_0=int(T_0), T_mult=int(T_mult), eta_min=eta_min)

    def lr_at(self, t: int, group: int = 0) -> float:
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t, length = t - length, length * self.T_mult
        return self.eta_min + (self.base_lrs[group] - self.eta_min) * (1 + math.cos(math.pi * t / length)) / 2


class OneCycleLR(LRScheduler):
    """One cycle: the rate rises from max_lr / div_factor to max_lr, then falls to the first / final_div_factor.

    The rise takes the share pct_start of total_steps; with three_phase the fall to the first rate takes as long, and
    the other steps go further down. Each way is a cosine, or a line. Meanwhile the momentum (of Adam: the first of its
    betas) goes the other way, from max_momentum to base_momentum and back. The optimiser's own rates do not matter.
    Smith & Topin 2019 [smith2019super], "Super-convergence".

    Args:
        max_lr: the largest rate, or a list with one for each group.
        total_steps: of the whole cycle; or epochs and steps_per_epoch, whose product it is.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: False leaves the momentum alone.

    Raises:
        ValueError: an argument is out of its range, the optimiser has no momentum to cycle, or more steps are taken.
    """

    max_lrs: list[float]
    total_steps: int
    pct_start: float
    anneal_strategy: str
    cycle_momentum: bool
    base_momentum: float
    max_momentum: float
    div_factor: float
    final_div_factor: float
    three_phase: bool

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        groups = optimizer.param_groups
        max_lrs = list(max_lr) if isinstance(max_lr, Sequence) else [max_lr] * len(groups)
        if len(max_lrs) != len(groups):
            raise ValueError(f"OneCycleLR: needs a max_lr for each of {len(groups)} groups, got {len(max_lrs)}")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        _at_least("OneCycleLR", "total_steps", total_steps, 1)
        if not 0 <= pct_start <= 1 or anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                "OneCycleLR: pct_start must be from 0 to 1 and anneal_strategy 'cos' or 'linear', "
                f"got {pct_start} and {anneal_strategy!r}"
            )
        if cycle_momentum and any(_momentum_of(group) is None for group in groups):
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has no momentum to cycle; pass cycle_momentum=False"
            )
        super().__init__(
            optimizer, max_lrs=max_lrs, total_steps=total_steps, pct_start=pct_start, anneal_strategy=anneal_strategy,
            cycle_momentum=cycle_momentum, base_momentum=base_momentum, max_momentum=max_momentum,
            div_factor=div_factor, final_div_factor=final_div_factor, three_phase=three_phase,
        )  # fmt: skip

    def lr_at(self, t: int, group: int = 0) -> float:
        high = self.max_lrs[group]
        low = high / self.div_factor
        return self._along(t, [low, high, *([low] if self.three_phase else []), low / self.final_div_factor])

    def momentum_at(self, t: int) -> float:
        """The momentum of all groups after t steps."""
        high, low = self.max_momentum, self.base_momentum
        return self._along(t, [high, low, high, *([high] if self.three_phase else [])])

    def _along(self, t: int, stops: Sequence[float]) -> float:
        """The place on the way from stop to stop. As in PyTorch, the step after the last goes on along the same curve:
        a cosine turns up again, and a line falls on."""
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} comes after the cycle, whose total_steps are {self.total_steps}")
        rise = self.pct_start * self.total_steps - 1
        ends = [rise, *([2 * rise] if self.three_phase else []), self.total_steps - 1]
        k = min(sum(t > end for end in ends), len(ends) - 1)
        start, end = ([0.0, *ends])[k : k + 2]
        share = (t - start) / (end - start) if end > start else 1.0
        first, last = stops[k : k + 2]
        if self.anneal_strategy == "linear":
            return first + (last - first) * share
        return last + (first - last) * (1 + math.cos(math.pi * share)) / 2

    def _assign(self) -> None:
        super()._assign()
        if self.cycle_momentum:
            momentum = self.momentum_at(self.last_epoch)
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, group["betas"][1])
                else:
                    group["momentum"] = momentum


def _momentum_of(group: dict[str, Any]) -> float | None:
    return group["betas"][0] if "betas" in group else group.get("momentum")


__all__ = ["CosineAnnealingWarmRestarts", "OneCycleLR"]
