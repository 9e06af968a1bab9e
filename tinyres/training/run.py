"""Run: the training loop of a classifier, and what it has found so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from os import PathLike
from typing import Any

import numpy as np

from tinyres import data, nn, optim
from tinyres.autograd.tensor import Array
from tinyres.ops.losses import cross_entropy
from tinyres.optim.schedules import LRScheduler
from tinyres.training import checkpoint
from tinyres.training.divergence import Diverged, all_finite, first_failure
from tinyres.training.evaluate import Score, by_place, evaluate
from tinyres.training.notes import Notes, notes_of, with_notes
from tinyres.training.recipe import Recipe
from tinyres.training.resumable import Format, ResumableRun
from tinyres.training.validation import check_array, check_names, check_scores

FORMAT = Format("run", "tinyres run 1", Recipe, "training.save writes saved runs", one_model=True)


class NotFinite(Exception):
    """A number is NaN or infinite; the message says which."""


class Run(ResumableRun):
    """Training a classifier: everything that decides the next step, and what the steps so far have found.

    Attributes:
        step: how many steps were taken, of `total`.
        losses: the training loss of each step, in nats.
        scores: what `score` found: {"step", "loss", "accuracy"}, on the test set.
        notes: what a recorder keeps in the checkpoint, to continue from after a resume: arrays by name, and JSON
            values.
    """

    format = FORMAT
    recipe: Recipe
    scheduler: LRScheduler

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
        self.notes: Notes | None = None

    def steps(self, watch: AbstractContextManager[Any] | None = None) -> Iterator[float]:
        """Take one training step for each item asked for, which is its loss, from where the run stands to its end.

        Between two items the run is whole: it can be saved, scored, or left.

        Args:
            watch: entered around each step, e.g. `flow.record(model, every=10)`.

        Raises:
            Diverged: the loss became NaN or infinite, or a weight would have; that step is not taken. It is tried again
                under `tr.detect_anomaly`, and the message names the first layer that failed.
        """
        while self.step < self.total:
            self.loader.epoch, start = divmod(self.step, len(self.loader))
            for x, target in self.loader.batches(start):
                before, take = self.snapshot(), partial(self._take, x, target)
                try:
                    # What overflows is found below; NumPy's warnings would only come first.
                    with np.errstate(all="ignore"), watch if watch is not None else nullcontext():
                        value = take()
                except NotFinite as error:
                    self.restore(before)
                    raise Diverged(self._reason(str(error), take)) from None
                self.scheduler.step()
                self.losses.append(value)
                self.step += 1
                yield value
                if self.step == self.total:
                    return

    def _take(self, x: Any, target: Any) -> float:
        self.optimizer.zero_grad()
        value = self.gradient(x, target)
        self.optimizer.step()
        if not all_finite(p.data for p in self.optimizer.params):
            raise NotFinite("a weight would no longer be finite")
        return value

    def gradient(self, x: Any, target: Any) -> float:
        """The loss of a batch; its gradient is left in `.grad` of the parameters. Raises NotFinite."""
        device = self.device
        loss = self.loss(x.to(device), target.to(device))
        value = self.finite(loss.item())
        loss.backward()
        return value

    def loss(self, x: Any, target: Any) -> Any:
        """The cross-entropy of a batch: the mean over its samples, or over all places of its sequences."""
        return cross_entropy(*by_place(self.model(x), target, self.test.classes))

    def finite(self, value: float) -> float:
        """The loss, if it is a finite number. Raises NotFinite."""
        if not math.isfinite(value):
            raise NotFinite(f"the loss is {value}")
        return value

    def _reason(self, what: str, again: Callable[[], object]) -> str:
        """Why the run diverged, and what to do."""
        before = self.snapshot()
        try:
            with np.errstate(all="ignore"):
                where = self.first_failure(again)
        except NotFinite:
            where = "every operation was finite, the optimiser's step was not"
        finally:
            self.restore(before)
            self.model.zero_grad()
        return (
            f"at step {self.step} {what}: {where}. The learning rate ({self.optimizer.rates()}) is too high; try a "
            f"tenth, lr={self.recipe.lr / 10:.2g}, or a warm-up"
        )

    def first_failure(self, again: Callable[[], object]) -> str:
        """The first layer that fails when a step is taken again."""
        return first_failure(self.modules, again) or "taken again, the step is finite"

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The model."""
        return {"model": self.model}

    @property
    def optimizers(self) -> dict[str, optim.Optimizer]:
        """Its optimiser."""
        return {"model": self.optimizer}

    def log(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The losses, the scores and the recorder's notes."""
        arrays: dict[str, Any] = {"losses": np.array(self.losses)}
        about: dict[str, Any] = {"scores": self.scores}
        return with_notes(arrays, about, self.notes)

    def load_log(self, step: int, arrays: dict[str, Array], about: dict[str, Any]) -> None:
        """Take back what `log` gave."""
        notes = notes_of(arrays, about)
        check_names(arrays, "losses", *(["notes."] if notes else []))
        losses = check_array("its losses", arrays["losses"], [step]).tolist()
        scores = check_scores(about["scores"], step)
        self.losses, self.scores, self.notes = losses, scores, notes

    @property
    def last_rates(self) -> str:
        """The rates of the step just taken, one if all groups have the same. The optimiser already has the next one's,
        0 after a cosine."""
        schedule, t = self.scheduler, max(self.scheduler.last_epoch - 1, 0)
        return ", ".join(dict.fromkeys(f"{schedule.lr_at(t, i):.2g}" for i in range(len(schedule.base_lrs))))

    @property
    def epoch_ends(self) -> bool:
        """Whether the step just taken was the last of its epoch, or of the run."""
        return self.step == self.total or self.step % len(self.loader) == 0

    def score(self) -> Score:
        """Loss and accuracy on the test set, noted in `scores`."""
        with np.errstate(over="ignore", invalid="ignore"):  # a net that diverges is told by its loss
            score = evaluate(self.model, self.test)
        self.scores.append({"step": self.step, "loss": score.loss, "accuracy": score.accuracy})
        return score

    @property
    def final_loss(self) -> float:
        """The training loss, mean of the last tenth of the steps."""
        tail = self.losses[-max(1, len(self.losses) // 10) :]
        return sum(tail) / len(tail) if tail else math.nan


def saved_recipe(path: str | PathLike[str]) -> Recipe:
    """The recipe of a saved run, or of the run in a folder, without building anything of it.

    Raises:
        CheckpointError: there is something else, or a smaller model than the recipe describes.
        FileFormatError: the file is truncated or damaged.
        FileNotFoundError: there is no such file.
    """
    recipe: Recipe = checkpoint.saved_recipe(checkpoint.find(path, FORMAT), FORMAT)
    return recipe
