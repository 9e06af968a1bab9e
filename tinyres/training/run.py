"""Run: a model on its way through training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tinyres import data, nn, optim
from tinyres.autograd.tensor import Array
from tinyres.ops.losses import cross_entropy
from tinyres.optim.schedules import LRScheduler
from tinyres.training.evaluate import Score, evaluate
from tinyres.training.recipe import Recipe

Notes = tuple[dict[str, Array], dict[str, Any]]


class Diverged(RuntimeError):
    """The loss is no longer a finite number."""


class Run:
    """Everything that decides the next step, and what the steps so far have found.

    Attributes:
        step: how many steps were taken, of `total`.
        losses: the training loss of each step, in nats.
        scores: what `score` found: {"step", "loss", "accuracy"}, on the test set.
        came_from: the machine that saved the run this one goes on with; None where nothing tells.
        notes: what an instrument wants to find again when the run goes on: arrays by name, and JSON values.
    """

    processes = 1  # that take each step together

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        optimizer: optim.Optimizer,
        scheduler: LRScheduler,
        loader: data.DataLoader,
        test: data.Dataset,
        total: int,
    ) -> None:
        self.recipe, self.model, self.optimizer, self.scheduler = recipe, model, optimizer, scheduler
        self.loader, self.test, self.total = loader, test, total
        self.step = 0
        self.losses: list[float] = []
        self.scores: list[dict[str, Any]] = []
        self.came_from: dict[str, str | int] | None = None
        self.notes: Notes | None = None

    def steps(self, watch: AbstractContextManager[Any] | None = None) -> Iterator[float]:
        """Take one training step for each item asked for, which is its loss, from where the run stands to its end.

        Between two items the run is whole: it can be saved, scored, or left.

        Args:
            watch: entered around each step, e.g. `flow.record(model, every=10)`.

        Raises:
            Diverged: the loss became NaN or infinite; that step is not taken.
        """
        while self.step < self.total:
            self.loader.epoch, start = divmod(self.step, len(self.loader))
            for x, target in self.loader.batches(start):
                # What overflows shows in the loss; NumPy's warnings would only come first.
                with np.errstate(over="ignore", invalid="ignore"), watch if watch is not None else nullcontext():
                    self.model.zero_grad()
                    value = self.gradient(x, target)
                    self.optimizer.step()
                self.scheduler.step()
                self.losses.append(value)
                self.step += 1
                yield value
                if self.step == self.total:
                    return

    def gradient(self, x: Any, target: Any) -> float:
        """The loss of a batch; its gradient is left in `.grad` of the parameters. Raises Diverged."""
        loss = cross_entropy(self.model(x.to(self.device)), target.to(self.device))
        value = self.finite(loss.item())
        loss.backward()
        return value

    def finite(self, value: float) -> float:
        """The loss, if it is a finite number. Raises Diverged."""
        if not math.isfinite(value):
            raise Diverged(
                f"the loss is {value} at step {self.step}: try a smaller learning rate (now {self.optimizer.lr:.3g}) "
                "or a warm-up; tr.detect_anomaly names the operation"
            )
        return value

    @property
    def device(self) -> str:
        """Where the model is, and so where batches are brought to."""
        return next(self.model.parameters()).device

    @property
    def epoch_ends(self) -> bool:
        """Whether the step just taken was the last of its epoch, or of the run."""
        return self.step == self.total or self.step % len(self.loader) == 0

    def score(self) -> Score:
        """Loss and accuracy on the test set, noted in `scores`."""
        score = evaluate(self.model, self.test)
        self.scores.append({"step": self.step, "loss": score.loss, "accuracy": score.accuracy})
        return score

    @property
    def final_loss(self) -> float:
        """The training loss, mean of the last tenth of the steps."""
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(tail) / len(tail) if tail else math.nan
