"""Conductor: takes a run from its start, or from its checkpoint, to its end and its report.

One run has one folder, which is locked while the run is written there. Ctrl-C and SIGTERM wait for the end of the step,
which is then saved. What a killed run left half-written is removed when the folder is locked again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from tinyres.arrays import CHECK, kernels
from tinyres.files import PathLike
from tinyres.lock import UNGUARDED, FolderLock
from tinyres.training import checkpoint, machine
from tinyres.training.checkpoint import CheckpointError
from tinyres.training.distributed.ranks import RankFailed, Ranks
from tinyres.training.distributed.watchdog import Watchdog
from tinyres.training.divergence import Diverged
from tinyres.training.interrupts import Interrupts
from tinyres.training.resumable import ResumableRun
from tinyres.training.tensorboard import TensorBoard

R = TypeVar("R", bound=ResumableRun)


class Outcome(NamedTuple):
    """How a conducted run ended: all steps taken, interrupted and saved, or diverged with a sentence that says why."""

    status: Literal["finished", "stopped", "diverged"]
    step: int
    reason: str = ""


class Conductor(ABC, Generic[R]):
    """Conducts one kind of run; a subclass says what to do after a step, and what to write at the end.

    Args:
        run: freshly prepared.
        folder: of the run; made if need be.
        resume: start from the checkpoint in the folder. Otherwise there must be none.
        save_every: steps between two checkpoints; there is always one at the end.
        check_kernels: compare the kernels' results with im2col in float64 in this many first steps, see
            `kernels("check")`.
        ranks: the processes that conduct the run together; rank 0 alone speaks, saves and reports. If `conduct` raises
            on one of them, pass the error to `ranks.fail`, or the others wait for it until their timeout.
        tensorboard: write scalars for TensorBoard into the folder as well, see `training.tensorboard`.
        say: is given each line of the log.
        tick: is given the step and the total, before the first step and after each.

    Attributes:
        checkpoint: the file in the folder.
        saved_step: the last step that was saved; None before.
        seconds: how long the steps took.
    """

    subfolders: tuple[str, ...] = ()  # into which the run writes as well

    def __init__(
        self,
        run: R,
        folder: PathLike,
        *,
        resume: bool = False,
        save_every: int | None = None,
        check_kernels: int = 0,
        ranks: Ranks | None = None,
        tensorboard: bool = False,
        say: Callable[[str], object] = lambda line: None,
        tick: Callable[[int, int], object] = lambda step, total: None,
    ) -> None:
        self.run, self.folder, self.resume, self.ranks = run, Path(folder), resume, ranks
        self.save_every, self.check_kernels = save_every, check_kernels
        self.is_first = ranks is None or ranks.rank == 0
        self.say = say if self.is_first else lambda line: None
        self.tick = tick
        self.tensorboard = tensorboard and self.is_first
        self.log: TensorBoard | None = None
        self.checkpoint = self.folder / checkpoint.NAME
        self.saved_step: int | None = None
        self.seconds = 0.0

    def conduct(self) -> Outcome:
        """Take all steps that are left, and write the report.

        Raises:
            CheckpointError: the folder holds a run already, or none that this one can be resumed from.
            FileFormatError: the checkpoint is truncated or damaged.
            FolderTaken: another process writes into the folder.
            OSError: the folder or a file cannot be written.
            RankFailed: another process failed; the run was saved.
            ImportError: `tensorboard`, and tensorboardX is missing.
        """
        with self._locked_folder() if self.is_first else nullcontext():
            if self.is_first:
                self._load()
            self.before_steps()
            began = time.perf_counter()
            with self._logged():
                outcome = self._take_steps()
            self.seconds = time.perf_counter() - began
            if self.is_first:
                self.report(outcome)
        return outcome

    # -- what a kind of run adds ----------------------------------------------------------------------------------
    def before_steps(self) -> None:
        """Called where the run stands at its start, or at its checkpoint."""

    def steps(self) -> Iterator[Any]:
        """The steps to take."""
        return self.run.steps()

    @abstractmethod
    def after_step(self, result: Any, stopping: bool) -> None:
        """Called with what a step gave, before it is saved: what is due at a saved step has been done by then."""

    def scalars(self, result: Any) -> dict[str, float]:
        """What a step gave, by name, for TensorBoard; asked for after `after_step`."""
        return {}

    def save_due(self) -> bool:
        """Whether the step just taken is to be saved."""
        return self.run.step == self.run.total or bool(self.save_every and self.run.step % self.save_every == 0)

    def save(self) -> None:
        """Write the checkpoint."""
        if self.log is not None:
            self.log.flush()
        checkpoint.save(self.run, self.checkpoint)
        self.saved_step = self.run.step

    @abstractmethod
    def report(self, outcome: Outcome) -> None:
        """Write what the run has come to; numbers first, then pictures."""

    # -- the course of a run --------------------------------------------------------------------------------------
    @contextmanager
    def _locked_folder(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FolderLock(self.folder, *self.subfolders) as lock:
            if not lock.held:
                self.say(UNGUARDED.format(self.folder))
            yield

    @contextmanager
    def _logged(self) -> Iterator[None]:
        """Inside, there is a `log`, if it was asked for."""
        self.log = TensorBoard(self.folder, self.run.step) if self.tensorboard else None
        try:
            yield
        finally:
            if self.log is not None:
                self.log.close()

    def _load(self) -> None:
        if not self.resume:
            if self.checkpoint.exists():
                raise CheckpointError(
                    f"{self.folder} already holds a run: resume it (--resume), or choose another folder (--out)"
                )
            return
        try:
            checkpoint.resume(self.run, self.checkpoint)
        except FileNotFoundError as error:
            raise CheckpointError(f"there is no {self.checkpoint} to resume from") from error
        except OSError as error:
            raise CheckpointError(f"cannot read {self.checkpoint}: {error.strerror or error}") from error
        self.saved_step = self.run.step
        about = "" if self.run.recipe is None else f": {self.run.recipe.describe()}"
        self.say(f"resuming from step {self.run.step} of {self.run.total}{about}")
        here = machine.machine(self.run.device, 1 if self.ranks is None else self.ranks.size)
        moved = machine.differences(self.run.saved_on, here)
        if moved:
            self.say(
                f"sums may round differently here ({moved}), so the result may differ in its last bits from that of an "
                "uninterrupted run"
            )

    def _take_steps(self) -> Outcome:
        with Interrupts() as interrupts, self._watchdog() as watchdog:
            if self.ranks is not None:
                self.ranks.asks_to_stop = lambda: bool(interrupts)
            self.tick(self.run.step, self.run.total)
            try:
                for result in _checked(self.steps(), self.check_kernels):
                    stopping = bool(interrupts) if self.ranks is None else self.ranks.stopping
                    self.tick(self.run.step, self.run.total)
                    if self.is_first:
                        self.after_step(result, stopping)
                        if self.log is not None:
                            self.log.add(self.scalars(result), self.run.step)
                        if self.save_due() or stopping:
                            self.save()
                            self._inform(watchdog)
                    if stopping:
                        return Outcome("stopped", self.run.step)
            except Diverged as error:
                return Outcome("diverged", self.run.step, f"{error}; {self._what_is_saved()}")
            except RankFailed as error:
                if not self.is_first:
                    raise
                self.save()
                raise RankFailed(
                    f"{error}; the run was saved after step {self.run.step}, and can be resumed (--resume) in any "
                    "number of processes",
                    error.lost,
                ) from error
        return Outcome("finished", self.run.step)

    @contextmanager
    def _watchdog(self) -> Iterator[Watchdog | None]:
        """On rank 0 of several processes; elsewhere the shell says what became of the process."""
        if self.ranks is None or not self.is_first:
            yield None
            return
        with Watchdog() as watchdog:
            self._inform(watchdog)
            yield watchdog

    def _inform(self, watchdog: Watchdog | None) -> None:
        if watchdog is not None:
            watchdog.prepare(f"a process of this run was killed or failed; {self._what_is_saved()}")

    def _what_is_saved(self) -> str:
        if self.saved_step is None:
            return "nothing was saved before"
        return f"{self.checkpoint} holds the run (for --resume) as it was after step {self.saved_step}"


def _checked(steps: Iterator[Any], count: int) -> Iterator[Any]:
    """The items of `steps`, of which the first `count` are made by kernels that are checked."""
    for _ in range(count):
        with kernels(CHECK):
            item = next(steps, None)
        if item is None:
            return
        yield item
    yield from steps


__all__ = ["Conductor", "Outcome"]
