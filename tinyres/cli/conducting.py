"""What `tinyres train` and `tinyres gan train` share: the options, the errors and the output of a conducted run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, known, need, progress, tell_files, writing
from tinyres.cli.terminal import say

CHECKPOINT = "run.safetensors"
STATUS = {"finished": 0, "diverged": 1, "stopped": 130}


def add_options(parser: Any, save_every: int | None, out: str) -> None:
    """Declare the options that conducting a run takes."""
    add = parser.add_argument
    default = "one after each epoch, which are kept in any case" if save_every is None else save_every
    add("--resume", action="store_true", help="continue the run in --out, with its settings")
    add(
        "--save-every",
        type=int,
        default=save_every,
        metavar="N",
        help=f"steps between two checkpoints (default: {default})",
    )
    add("--log", metavar="NAME",
        help="tensorboard: also write loss, accuracy, learning rate and gradient norms (with --record, and for a GAN) "
        "into DIR/tensorboard (default: no log)")  # fmt: skip
    add("--check-kernels", type=int, default=0, metavar="N",
        help="check each kernel's results against im2col in float64, in the first N steps (default: 0)")  # fmt: skip
    add("--device", default="cpu", metavar="NAME", help="cpu or cuda: where to compute (default: cpu)")
    add("--out", type=Path, metavar="DIR", help=f"where to write the results (default: {out})")


def check_numbers(arguments: Any, *names: str) -> None:
    """Refuse options that must be at least 1 where they are given, and a wrong --check-kernels or --log."""
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: at least 1 is needed")
    if arguments.log is not None:
        known("log", arguments.log, ["tensorboard"])
        need({"tensorboardX": "tensorboardX"}, "tensorboard")
    if arguments.check_kernels < 0:
        raise UsageError(f"--check-kernels {arguments.check_kernels}: a number of steps is needed, 0 or more")
    if arguments.check_kernels:
        need({"hypothesis": "hypothesis"}, "conformance")


def recipe_to_resume(room: Any, folder: Path, given: dict[str, Any]) -> Any:
    """The recipe of the run in the folder, which what was typed must not contradict; for `room` see `conduct`."""
    from tinyres.training.checkpoint import refuse_another

    checkpoint = folder / CHECKPOINT
    try:
        recipe = room.saved_recipe(checkpoint)
        refuse_another(checkpoint, replace(recipe, **given).differs_from(recipe))
    except FileNotFoundError as error:
        raise UsageError(f"--resume: there is no {checkpoint} to resume from") from error
    except OSError as error:
        raise UsageError(f"--resume: cannot read {checkpoint}: {error.strerror or error}") from error
    except ValueError as error:  # CheckpointError and FileFormatError among them
        raise UsageError(f"--resume: {error}") from error
    return recipe


def conduct(room: Any, made: Any, arguments: Any, out: Path, console: Any, **options: Any) -> int:
    """Conduct the run with a progress bar, and print how it ended. `room` is tinyres.training or tinyres.gan."""
    if arguments.check_kernels:
        say(
            console,
            f"checking the kernels of the first {arguments.check_kernels} steps against im2col in float64: slow",
        )
    with _errors(), writing(out, out / CHECKPOINT), _progress_bar(console, made.recipe.title) as tick:
        outcome = room.conduct(
            made, out, resume=arguments.resume, save_every=arguments.save_every,
            check_kernels=arguments.check_kernels, tensorboard=arguments.log is not None,
            say=partial(say, console), tick=tick, **options,
        )  # fmt: skip
    if outcome.status == "diverged":
        say(console, outcome.reason, "diverged:", "bold red")
    if outcome.status == "stopped":
        say(console, f"stopped after step {outcome.step}; --resume continues from there")
    if not console.quiet:
        tell_files(console, out)
    return STATUS[outcome.status]


@contextmanager
def _errors() -> Iterator[None]:
    """Inside, what the user can mend becomes a UsageError."""
    from tinyres.files import FileFormatError
    from tinyres.lock import FolderTaken
    from tinyres.training import CheckpointError
    from tinyres.training.distributed import CannotShare

    try:
        yield
    except (CheckpointError, FileFormatError, FolderTaken, CannotShare) as error:
        raise UsageError(str(error)) from error


@contextmanager
def _progress_bar(console: Any, title: str) -> Iterator[Any]:
    """A function of step and total that shows them as a bar, from its first call to the last step."""
    bars = progress(console)
    bar = bars.add_task(title, total=None)

    def tick(step: int, total: int) -> None:
        if not bars.live.is_started:
            bars.start()
        bars.update(bar, completed=step, total=total)
        if step == total:
            bars.stop()  # what comes now may show bars of its own

    try:
        yield tick
    finally:
        if bars.live.is_started:
            bars.stop()
