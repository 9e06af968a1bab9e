"""Conducting a GAN's run: pictures along the way, weights, figures and curves at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tinyres.files import PathLike, write_json
from tinyres.files import save as save_file
from tinyres.gan.pictures import pictures
from tinyres.gan.score import Score
from tinyres.gan.trainer import LOG_LOSSES, GANTrainer, StepRecord
from tinyres.training.conduct import Conductor, Outcome
from tinyres.training.notes import Notes


class Watch(Protocol):
    """An instrument that looks at both players between steps, and whose record is kept with the run."""

    seconds: float  # that it took

    @property
    def due(self) -> bool:
        """Whether it wants to look at the present step."""
        ...

    def look(self) -> None:
        """Look, and change nothing."""
        ...

    def notes(self) -> Notes:
        """What to keep in the checkpoint."""
        ...


class GANConductor(Conductor[GANTrainer]):
    """Conducts a `GANTrainer`, see `conduct`."""

    subfolders = ("samples",)

    def __init__(
        self,
        run: GANTrainer,
        folder: PathLike,
        *,
        sample_every: int | None = None,
        judge: Callable[[GANTrainer], Score | None] = lambda trainer: None,
        make_watch: Callable[[GANTrainer], Watch | None] = lambda trainer: None,
        show: Callable[[Watch, GANTrainer], object] = lambda watch, trainer: None,
        **options: Any,
    ) -> None:
        super().__init__(run, folder, **options)
        self.make_watch, self.show = make_watch, show
        self.watch: Watch | None = None
        self.sample_every = max(1, run.total // 10) if sample_every is None else sample_every
        self.judge = judge
        self.title = "GAN" if run.recipe is None else run.recipe.title

    def before_steps(self) -> None:
        self.watch = self.make_watch(self.run)
        self._look()

    def _look(self) -> None:
        if self.watch is not None and self.watch.due:
            self.watch.look()

    def after_step(self, result: StepRecord, stopping: bool) -> None:
        self._look()
        if stopping or self.run.step % self.sample_every == 0 or self.run.step == self.run.total:
            pictures(self.run, self.folder, self.title)
            self.say(f"step {self.run.step:6}  {_summary(result, self.run.loss.name)}")

    def scalars(self, result: StepRecord) -> dict[str, float]:
        players = {"D": self.run.optimizer_d, "G": self.run.optimizer_g}
        return {f"rate/{name}": optimizer.param_groups[0]["lr"] for name, optimizer in players.items()} | {
            "loss/D": result.d_loss, "loss/G": result.g_loss,
            "gradient/D": result.d_grad_norm, "gradient/G": result.g_grad_norm,
            "output_of_D/real": result.d_real, "output_of_D/fake": result.d_fake,
        }  # fmt: skip

    def save(self) -> None:
        if self.watch is not None:
            self.run.notes = self.watch.notes()
        super().save()

    def report(self, outcome: Outcome) -> None:
        score = self.judge(self.run) if outcome.status == "finished" else None
        save_file(self.run.average or self.run.generator, self.folder / "generator.safetensors")
        document = {
            "recipe": None if self.run.recipe is None else self.run.recipe.to_json(),
            "device": self.run.device,
            "parameters": {name: module.parameter_count() for name, module in self.run.modules.items()},
            "steps": self.run.step,
            "history": {name: [getattr(r, name) for r in self.run.history] for name in StepRecord._fields},
            "score": None if score is None else score.to_json(),
            "seconds": round(self.seconds, 1),
        }
        write_json(self.folder / "result.json", document)
        if self.watch is not None:
            self.show(self.watch, self.run)
            looks = f"{self.watch.seconds:.1f} s of {self.seconds:.1f}" if self.seconds else "no time"
            self.say(f"watching the game took {looks}")


def conduct(trainer: GANTrainer, folder: PathLike, **options: Any) -> Outcome:
    """Take a GAN's run from its start, or from its checkpoint, to its end.

    Writes samples.png, samples/, interpolations.png and training.png along the way, and run.safetensors, from which
    `resume=True` continues bit for bit; at the end generator.safetensors (the averaged one) and result.json.

        gan.conduct(gan.prepare(gan.GANRecipe.of("hinge", "ring8")), "results", save_every=250, say=print)

    Args:
        trainer: freshly prepared; to resume a run, `prepare(saved_recipe(folder))`.
        options: those of `training.conduct.Conductor` (resume, save_every, check_kernels, tensorboard, say, tick);
            sample_every: steps between two pictures, a tenth of the run by default;
            judge: is given the trainer once it has finished, and gives the `Score` that result.json keeps, or None;
            make_watch: is given the trainer where it starts or goes on, and gives the instrument that looks on, such as
            `flow.GameWatch`, or None; show: is given both at the end, to draw what was seen.

    Raises:
        CheckpointError, FileFormatError, FolderTaken, OSError: see `training.conduct.Conductor.conduct`.
    """
    return GANConductor(trainer, folder, **options).conduct()


def _summary(record: StepRecord, loss: str) -> str:
    name = "D" if loss in LOG_LOSSES else "score"  # the other losses' outputs are no probabilities
    return (
        f"loss D {record.d_loss:7.3f} G {record.g_loss:7.3f}  |gradient| D {record.d_grad_norm:.2g} "
        f"G {record.g_grad_norm:.2g}  {name}(real) {record.d_real:.2f} {name}(fake) {record.d_fake:.2f}"
    )


__all__ = ["GANConductor", "conduct"]
