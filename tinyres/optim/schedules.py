"""Learning rate schedules: the rate as a function of the number of steps.

    scheduler = StepLR(optimizer, step_size=30)
    ...; optimizer.step(); scheduler.step()

Every rate is computed from the step count alone, not from the rate before. So nothing drifts, and a resumed run
continues with the same bits. In the equations t is the step count and lr_0 the rate before any schedule, of which
each group of parameters has its own.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinyres.optim.optimizer import Optimizer
from tinyres.refusals.arguments import Explained

Factor = Callable[[int], float]


class LRScheduler(Explained):
    """Base class: counts steps and sets each group's rate, the first time when it is made. A subclass defines `lr_at`.

    Every group of the optimiser keeps its own lr_0. Several schedules of one optimiser use the same ones: the first
    stores them in the groups, as "initial_lr".

    Attributes:
        last_epoch: t, under PyTorch's name: how often `step` was called, after batches or after epochs.
        base_lrs: lr_0 of every group.
    """

    settings: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, **settings: Any) -> None:
        self.optimizer, self.last_epoch = optimizer, 0
        self.base_lrs: list[float] = []
        self.settings = tuple(settings)
        for name, value in settings.items():
            setattr(self, name, _plain(value))
        self._assign()

    def lr_at(self, t: int, group: int = 0) -> float:
        """The rate of a group after t steps, from its lr_0, `base_lrs[group]`."""
        raise NotImplementedError(f"{type(self).__name__} must define lr_at")

    def step(self) -> None:
        """Count one step. Call it after `optimizer.step()`."""
        self.last_epoch += 1
        self._assign()

    def get_last_lr(self) -> list[float]:
        """The current rate of every group."""
        return [float(self.lr_at(self.last_epoch, i)) for i in range(len(self.base_lrs))]

    def state_dict(self) -> dict[str, Any]:
        """Settings, lr_0 of every group and step count: Python's numbers, so that `json.dumps` accepts them."""
        settings = {name: _plain(getattr(self, name)) for name in self.settings}
        return {"settings": settings, "base_lrs": _plain(self.base_lrs), "last_epoch": int(self.last_epoch)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the result of `state_dict` of the same kind of schedule, or PyTorch's, and set the optimiser's rates.

        Raises:
            ValueError: the settings are those of another kind of schedule, or the optimiser had another number of
                groups; then nothing is changed.
        """
        self._restore(state_dict)
        self._assign()

    def _restore(self, state_dict: Mapping[str, Any]) -> None:
        what = f"{type(self).__name__}.load_state_dict"
        settings = state_dict.get("settings")
        if settings is None:  # PyTorch's state, which has them beside the rest
            names = [*self.settings, "base_lrs", "last_epoch"]
            if lacking := [name for name in names if name not in state_dict]:
                raise ValueError(
                    f"{what}: there is no {lacking} in what was given, {sorted(state_dict)}; make the schedule anew, "
                    "and call its step() as often as before"
                )
            found = {name: state_dict[name] for name in self.settings}
            settings = {n: sorted(v.elements()) if isinstance(v, Counter) else v for n, v in found.items()}
        if set(settings) != set(self.settings):
            raise ValueError(f"{what}: needs the settings {sorted(self.settings)}, got {sorted(settings)}")
        rates, groups = list(state_dict["base_lrs"]), len(self.optimizer.param_groups)
        if len(rates) != groups:
            raise ValueError(f"{what}: needs a rate for each of {groups} groups of parameters, got {len(rates)}")
        for name, value in settings.items():
            setattr(self, name, value)
        self.base_lrs, self.last_epoch = rates, state_dict["last_epoch"]

    def _assign(self) -> None:
        groups = self.optimizer.param_groups
        for group in groups[len(self.base_lrs) :]:  # all of them at first; later those that were added since
            self.base_lrs.append(float(group.setdefault("initial_lr", float(group["lr"]))))
        for i, group in enumerate(groups):
            group["lr"] = float(self.lr_at(self.last_epoch, i))


class StepLR(LRScheduler):
    """Decay by gamma every step_size steps: lr_0 gamma^floor(t / step_size)."""

    step_size: int
    gamma: float

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        _at_least("StepLR", "step_size", step_size, 1)
        super().__init__(optimizer, step_size=step_size, gamma=gamma)

    def lr_at(self, t: int, group: int = 0) -> float:
        return self.base_lrs[group] * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """Decay by gamma at each milestone: lr_0 gamma^(number of milestones <= t). A repeated milestone counts twice."""

    milestones: list[int]
    gamma: float

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1) -> None:
        super().__init__(optimizer, milestones=sorted(milestones), gamma=gamma)

    def lr_at(self, t: int, group: int = 0) -> float:
        return self.base_lrs[group] * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(LRScheduler):
    """Decay by gamma every step: lr_0 gamma^t."""

    gamma: float

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        super().__init__(optimizer, gamma=gamma)

    def lr_at(self, t: int, group: int = 0) -> float:
        return self.base_lrs[group] * self.gamma**t


class LambdaLR(LRScheduler):
    """lr_0 times a function of t, one for all groups or a list with one for each. Its state has no functions in it.

    Raises:
        ValueError: a list of another length than there are groups.
    """

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: needs a function for each of {groups} groups, got {len(self.lr_lambdas)}")
        super().__init__(optimizer)

    def lr_at(self, t: int, group: int = 0) -> float:
        return self.base_lrs[group] * float(self.lr_lambdas[group](t))


class CosineAnnealingLR(LRScheduler):
    """Cosine annealing: eta_min + (lr_0 - eta_min) (1 + cos(pi t / T_max)) / 2, down in T_max steps and up in the next.

    Loshchilov & Hutter 2017 [loshchilov2017sgdr], "SGDR: stochastic gradient descent with warm restarts" (without the
    restarts).
    """

    T_max: int
    eta_min: float

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        _at_least("CosineAnnealingLR", "T_max", T_max, 1)
        super().__init__(optimizer, T_max=T_max, eta_min=eta_min)

    def lr_at(self, t: int, group: int = 0) -> float:
        return self.eta_min + (self.base_lrs[group] - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class LinearLR(LRScheduler):
    """Linear warm-up: lr_0 (start_factor + (end_factor - start_factor) min(t, total_iters) / total_iters).

    Goyal et al. 2017 [goyal2017accurate], "Accurate, large minibatch SGD".
    """

    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ValueError(
                "LinearLR: start_factor must be above 0 and at most 1, end_factor at least 0 and at most 1, "
                f"got {start_factor} and {end_factor}"
            )
        _at_least("LinearLR", "total_iters", total_iters, 1)
        super().__init__(optimizer, start_factor=start_factor, end_factor=end_factor, total_iters=total_iters)

    def lr_at(self, t: int, group: int = 0) -> float:
        share = min(t, self.total_iters) / self.total_iters
        return self.base_lrs[group] * (self.start_factor + (self.end_factor - self.start_factor) * share)


class SequentialLR(LRScheduler):
    """Several schedules in turn: the k-th begins at milestones[k - 1], and counts its steps from there.

    A warm-up before a cosine: SequentialLR(o, [LinearLR(o, 0.1, total_iters=5), CosineAnnealingLR(o, 95)], [5]).

    Raises:
        ValueError: there is not one schedule more than milestones, a schedule belongs to another optimiser, or the
            milestones do not increase.
    """

    milestones: list[int]

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        self.schedulers, bounds = list(schedulers), list(milestones)
        if len(self.schedulers) != len(bounds) + 1:
            raise ValueError(
                f"SequentialLR: {len(bounds)} milestones need {len(bounds) + 1} schedulers, got {len(self.schedulers)}"
            )
        if any(scheduler.optimizer is not optimizer for scheduler in self.schedulers):
            raise ValueError("SequentialLR: all schedulers must be made with the same optimizer, the one it is given")
        if any(b <= a for a, b in zip([0, *bounds], bounds, strict=False)):
            raise ValueError(f"SequentialLR: milestones must be above 0 and increase, got {bounds}")
        super().__init__(optimizer, milestones=bounds)

    def _assign(self) -> None:
        for scheduler in self.schedulers:  # each is asked for the rates of all groups, also of those added since
            scheduler._assign()
        super()._assign()

    def lr_at(self, t: int, group: int = 0) -> float:
        k = bisect_right(self.milestones, t)
        return self.schedulers[k].lr_at(t - [0, *self.milestones][k], group)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"schedulers": [scheduler.state_dict() for scheduler in self.schedulers]}

    def _restore(self, state_dict: Mapping[str, Any]) -> None:
        states = state_dict.get("schedulers", [])
        if len(states) != len(self.schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: needs the state of {len(self.schedulers)} schedulers, got {len(states)}"
            )
        before = [scheduler.state_dict() for scheduler in self.schedulers]
        try:
            for scheduler, state in zip(self.schedulers, states, strict=True):
                scheduler._restore(state)
            super()._restore(state_dict)
        except ValueError:
            for scheduler, state in zip(self.schedulers, before, strict=True):
                scheduler._restore(state)
            raise


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's own; also in a list."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _at_least(kind: str, name: str, value: int, low: int) -> None:
    if value < low:
        raise ValueError(f"{kind}: {name} must be at least {low}, got {value}")


__all__ = [
    "CosineAnnealingLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "SequentialLR",
    "StepLR",
]  # fmt: skip
