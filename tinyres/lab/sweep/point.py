"""One point of a sweep: train a recipe and measure it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from tinyres.flow.instruments.record import Recording, record
from tinyres.lab.processes import one_thread
from tinyres.training.divergence import Diverged
from tinyres.training.prepare import prepare
from tinyres.training.recipe import Recipe
from tinyres.training.run import Run


@dataclass(frozen=True)
class Finding:
    """The measurements of a point.

    Attributes:
        status: "ok", or "diverged" if a loss or score became NaN or infinite; losses and accuracy are then NaN.
        train_loss: mean over the last tenth of the steps, in nats; test_loss, accuracy: on the test set, at the end.
        gradient_first, gradient_last: |dL/d output| of the first and the last block at step 0, over the whole batch;
            NaN if the first loss is not finite.
        gradient: log10(gradient_first / gradient_last): -3 means the gradient shrinks a thousandfold on its way down.
        parameters: the number of trainable parameters; steps_taken: the number of training steps completed.
        seconds: total time, data and model included; the only field that changes when a point is run again.
    """

    status: str
    train_loss: float
    test_loss: float
    accuracy: float
    gradient_first: float
    gradient_last: float
    gradient: float
    parameters: int
    steps_taken: int
    seconds: float


def measure(recipe: Recipe, device: str = "cpu") -> Finding:
    """Train and measure a recipe on one thread; on the same kind of processor the result is bit-identical.

    On "cuda" the training starts from the same numbers, but sums round differently.

    Raises:
        RuntimeError: this machine cannot compute on `device`.
        ValueError, ImportError, OSError: see `training.prepare`.
    """
    began = time.perf_counter()
    with one_thread(), np.errstate(all="ignore"):  # the status reports an overflow
        run = prepare(recipe, device=device)
        recording = record(run.model, every=run.total)  # step 0 only
        status, train_loss, test_loss, accuracy = _train(run, recording)
    first, last = (float(norm) for norm in recording.gradient_norms()[[0, -1]])
    with np.errstate(all="ignore"):
        gradient = float(np.log10(np.divide(first, last)))
    parameters, seconds = run.model.parameter_count(), round(time.perf_counter() - began, 3)
    return Finding(
        status, train_loss, test_loss, accuracy, first, last, gradient, parameters, run.step, seconds
    )  # fmt: skip


def attempt(recipe: Recipe, device: str = "cpu") -> Finding | str:
    """`measure`, but an exception becomes a message, which can pass between processes and stops no other point."""
    try:
        return measure(recipe, device)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _train(run: Run, recording: Recording) -> tuple[str, float, float, float]:
    """Status, training loss, test loss, accuracy."""
    try:
        for _ in run.steps(recording):
            pass
        score = run.score()
    except Diverged:
        return "diverged", math.nan, math.nan, math.nan
    if not math.isfinite(score.loss):  # the last step diverged
        return "diverged", math.nan, math.nan, math.nan
    return "ok", run.final_loss, score.loss, score.accuracy
