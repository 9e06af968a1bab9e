"""A schedule that follows a measured value: the rate falls when it no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tinyres.optim.optimizer import Optimizer
from tinyres.refusals.arguments import Explained

_STATE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class ReduceLROnPlateau(Explained):
    """Multiply the rates by `factor` when a value has not improved for more than `patience` steps.

        scheduler = ReduceLROnPlateau(optimizer, patience=5)
        ...; scheduler.step(validation_loss)

    Unlike the other schedules it depends on what was measured, so it changes the rates that the optimiser has.

    Args:
        mode: "min" for a value that should fall, such as a loss; "max" for one that should rise.
        factor: of the reduction, below 1.
        patience: how many steps without improvement are allowed.
        threshold: the least improvement that counts, by `threshold_mode` "rel" as a share of the best value, by "abs"
            as a difference.
        cooldown: steps after a reduction in which nothing is counted.
        min_lr: a lower bound of the rates, one for all groups or one for each.
        eps: a smaller change of a rate is left out.

    Attributes:
        best: the best value so far.
        num_bad_epochs: steps since then without improvement.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau: mode must be 'min' or 'max' and threshold_mode 'rel' or 'abs', "
                f"got {mode!r} and {threshold_mode!r}"
            )
        groups = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise ValueError(f"ReduceLROnPlateau: min_lr needs a number for each of {groups} groups, got {min_lr}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def step(self, metrics: Any) -> None:
        """Take a new value, a number or a tensor of one element, and reduce the rates if it is time to."""
        value = float(metrics)
        self.last_epoch += 1
        better = self.is_better(value, self.best)
        self.best, self.num_bad_epochs = (value, 0) if better else (self.best, self.num_bad_epochs + 1)
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, least)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr

    def is_better(self, a: float, best: float) -> bool:
        """Whether a value improves on the best one by more than the threshold."""
        margin = -self.threshold if self.mode == "min" else self.threshold
        bound = best + margin if self.threshold_mode == "abs" else best * (1 + margin)
        return a < bound if self.mode == "min" else a > bound

    def get_last_lr(self) -> list[float]:
        """The current rate of every group."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The best value and the counters: numbers, so that `json.dumps` accepts them."""
        return {name: getattr(self, name) for name in _STATE}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict`. The rates are in the optimiser's own state."""
        for name in _STATE:
            setattr(self, name, state_dict[name])


__all__ = ["ReduceLROnPlateau"]
