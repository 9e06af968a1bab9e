"""Conducting a classifier's run: a score on the test set after each epoch, weights, figures and curves at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from tinyres import data
from tinyres.figures import blank, palette, write_pair
from tinyres.files import PathLike, write_json
from tinyres.files import save as save_file
from tinyres.training.conduct import Conductor, Outcome
from tinyres.training.distributed import DataParallel
from tinyres.training.notes import Notes
from tinyres.training.run import Run

FEWEST = 20  # steps after which a net should be better than guessing
LARGE = 1e5  # a loss from which on its size says enough


class Recorder(Protocol):
    """An instrument that watches a run and whose record is kept with it: `flow.instruments.kept.Kept` is one."""

    recording: AbstractContextManager[Any]  # entered around each step

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        ...

    def notes(self, step: int) -> Notes:
        """What to keep in the checkpoint of the steps before this one."""
        ...

    def latest(self, step: int) -> dict[str, float]:
        """The norm of the gradient at each block in this step, if it was recorded."""
        ...

    def history(self) -> Any:
        """All that was recorded, with `to_json(path)` and `plot()`."""
        ...


class ClassifierConductor(Conductor[Run]):
    """Conducts a `Run`, see `conduct`."""

    def __init__(
        self,
        run: Run,
        folder: PathLike,
        *,
        sync_batch_norm: bool = False,
        make_recorder: Callable[[Run], Recorder | None] = lambda run: None,
        show: Callable[[Any, Run], object] = lambda history, run: None,
        **options: Any,
    ) -> None:
        super().__init__(run, folder, **options)
        self.sync_batch_norm, self.make_recorder, self.show = sync_batch_norm, make_recorder, show
        self.recorder: Recorder | None = None

    def before_steps(self) -> None:
        if self.ranks is not None:
            self.run = DataParallel(self.run, self.ranks, sync_batch_norm=self.sync_batch_norm)
        if self.is_first:
            self.recorder = self.make_recorder(self.run)

    def steps(self) -> Iterator[float]:
        return self.run.steps(None if self.recorder is None else self.recorder.recording)

    def after_step(self, result: float, stopping: bool) -> None:
        if self.run.epoch_ends:
            score = self.run.score()
            self.say(
                f"step {self.run.step:6}  lr {self.run.last_rates}  training loss {_legible(result)}  "
                f"test loss {_legible(score.loss)}  accuracy {score.accuracy:.2%}"
            )

    def scalars(self, result: float) -> dict[str, float]:
        found = {"loss/train": result}
        rates = [group["lr"] for group in self.run.optimizer.param_groups]
        found |= {f"rate/{i}" if len(rates) > 1 else "rate": rate for i, rate in enumerate(rates)}
        if self.run.scores and self.run.scores[-1]["step"] == self.run.step:
            found |= {"loss/test": self.run.scores[-1]["loss"], "accuracy/test": self.run.scores[-1]["accuracy"]}
        if self.recorder is not None:
            found |= {f"gradient/{name}": norm for name, norm in self.recorder.latest(self.run.step - 1).items()}
        return found

    def save_due(self) -> bool:
        return self.run.epoch_ends or super().save_due()

    def save(self) -> None:
        if self.recorder is not None:
            self.run.notes = self.recorder.notes(self.run.step)
        super().save()

    def _about_model(self) -> dict[str, str]:
        """What is needed to write with a model of text: how to make it, and its characters."""
        if not data.is_text(self.run.recipe.data):
            return {}
        return {
            "gpt": json.dumps({"settings": vars(self.run.model)["settings"], "characters": self.run.test.class_names})
        }

    def report(self, outcome: Outcome) -> None:
        save_file(self.run.model, self.folder / "model.safetensors", self._about_model())
        document = {
            "recipe": self.run.recipe.to_json(),
            "device": self.run.device,
            "processes": self.run.processes,
            "parameters": self.run.model.parameter_count(),
            "steps": self.run.step,
            "train_loss": self.run.losses,
            "scores": self.run.scores,
            "seconds": round(self.seconds, 1),
        }
        write_json(self.folder / "result.json", document)
        if self.recorder is not None and not self.recorder.empty:  # a run that had ended has nothing new to show
            history = self.recorder.history()
            history.to_json(self.folder / "flow.json")
            write_pair(history.plot(), self.folder / "flow.png")
            self.show(history, self.run)
        write_pair(_loss_curves(self.run), self.folder / "training.png")
        if outcome.status == "finished" and (told := no_better_than_guessing(self.run)):
            self.say(told)


def conduct(run: Run, folder: PathLike, **options: Any) -> Outcome:
    """Take a classifier's run from its start, or from its checkpoint, to its end.

    Writes run.safetensors after each epoch, from which `resume=True` continues bit for bit; at the end
    model.safetensors, result.json and training.png, and with a recorder flow.json and flow.png; each picture has a
    dark form beside it, training-dark.png.

        run = training.prepare(training.Recipe(arch="resnet", depth=20))
        training.conduct(run, "results", say=print)

    Args:
        run: freshly prepared; to resume one, `prepare(saved_recipe(folder))`.
        options: those of `Conductor` (resume, save_every, check_kernels, ranks, tensorboard, say, tick);
            sync_batch_norm, with ranks: see `DataParallel`;
            make_recorder: is given the run where it starts, and makes what watches its steps, or None;
            show: is given the recorder's history and the run, once the files are written.

    Raises:
        CheckpointError, FileFormatError, FolderTaken, OSError, RankFailed: see `Conductor.conduct`.
    """
    return ClassifierConductor(run, folder, **options).conduct()


def no_better_than_guessing(run: Run) -> str:
    """A sentence for a run that has learned nothing after `FEWEST` steps or more; empty for one that has."""
    guessing = math.log(max(run.test.classes or 1, 2))
    if run.step < FEWEST or run.final_loss < guessing:
        return ""
    lower, now = f"a lower learning rate, lr={run.recipe.lr / 10:.2g}", f"another learning rate (now {run.recipe.lr:g})"
    mend = lower if max(run.losses) > 2 * guessing else now
    return (
        f"the net has learned nothing: its training loss ends at {_legible(run.final_loss)}, and guessing gives "
        f"{guessing:.4f}; try {mend}, or more steps"
    )


def _legible(loss: float) -> str:
    return f"{loss:.4f}" if abs(loss) < LARGE else f"{loss:.3g}"


def _loss_curves(run: Run) -> Any:
    """A figure of the losses of every step, and of the scores."""
    figure = blank((9, 4.5))
    left = figure.add_subplot()
    left.semilogy(
        range(1, run.step + 1), run.losses, "-", color=palette.CASES[0], lw=0.7, alpha=0.6, label="training loss"
    )
    steps = [score["step"] for score in run.scores]
    left.semilogy(steps, [score["loss"] for score in run.scores], "o-", color=palette.CASES[1], ms=3, label="test loss")
    left.set(xlabel="training step", ylabel="cross-entropy in nats", title=run.recipe.title)
    right = left.twinx()
    right.plot(
        steps, [score["accuracy"] for score in run.scores], "s--", color=palette.CASES[2], ms=3, label="accuracy"
    )
    right.set(ylabel="test accuracy", ylim=(0, 1.02))
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


__all__ = ["ClassifierConductor", "conduct"]
