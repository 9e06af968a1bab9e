"""What changes in the first part of a run: rates and the penalty's weight fall, and Adam's second beta rises."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tinyres.optim import Optimizer


@dataclass(frozen=True, slots=True)
class BurnIn:
    """Half a cosine from a run's first values to its last: value(t) = end + (start - end) (1 + cos(π t / steps)) / 2.

    Early on, the players are far from each other: a strong penalty keeps D in bounds, and a short memory of squared
    gradients follows what changes fast. Huang et al. 2024 [huang2024gan], appendix.

    Everything follows from the number of the step, so a resumed run goes on where it stood.

    Attributes:
        steps: of the generator, after which the last values hold.
        lr: both rates end at this share of what they start from.
        penalty: so does the penalty's weight.
        beta2: the last value of both Adams' second beta; None: it stays.
        ema: the averaged generator's half-life rises from 0 to its own: early generators are forgotten at once.

    Raises:
        ValueError: steps below 1, a negative share, or a beta outside [0, 1).
    """

    steps: int
    lr: float = 1.0
    penalty: float = 1.0
    beta2: float | None = None
    ema: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1 or min(self.lr, self.penalty) < 0 or not 0 <= (self.beta2 or 0) < 1:
            raise ValueError(f"a burn-in needs steps >= 1, shares >= 0 and a beta2 in [0, 1), got {self}")

    def between(self, start: float, end: float, step: int) -> float:
        """The value at a step, from 0."""
        return end + (start - end) * (1 + math.cos(math.pi * min(1.0, step / self.steps))) / 2

    def share(self, end: float, step: int) -> float:
        """Of a value that starts at 1 times itself."""
        return self.between(1.0, end, step)

    def decay(self, own: float, step: int) -> float:
        """The averaged generator's at a step: 2^(-1 / half-life), `own` being the last one."""
        if not self.ema or not own:
            return own
        share = self.between(0.0, 1.0, step)  # of the last half-life, -1 / log2(own)
        return float(own ** (1 / share)) if share else 0.0

    @contextmanager
    def during(self, step: int, optimizers: Iterable[Optimizer]) -> Iterator[None]:
        """Inside, the optimisers have the values of this step; afterwards, their own again, which a file then holds."""
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        own = [dict(group) for group in groups]
        for group in groups:
            group["lr"] = group["lr"] * self.share(self.lr, step)
            if self.beta2 is not None and "betas" in group:
                group["betas"] = (group["betas"][0], self.between(group["betas"][1], self.beta2, step))
        try:
            yield
        finally:
            for group, values in zip(groups, own, strict=True):
                group.update(values)


__all__ = ["BurnIn"]
