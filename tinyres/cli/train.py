"""`tinyres train`: train a classifier, keep a file to go on from, and the instruments' findings on request."""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyres.cli.common import (
    LAB,
    UsageError,
    check_kernels,
    checking,
    going_on,
    held,
    known,
    need,
    on_device,
    progress,
    stopping,
    tell_files,
    tell_resumed,
    writing,
)
from tinyres.cli.terminal import say, terminal
from tinyres.cli.train_ranks import by_ranks, declare, settle, testimony
from tinyres.cli.train_report import recording, report, save

DEFAULTS = (  # fields of a recipe that a sweep takes from the parser
    "data", "epochs", "batch_size", "optimizer", "momentum", "weight_decay", "schedule", "warmup",
    "activation", "init", "lr",
)  # fmt: skip


CHECKPOINT = "run.safetensors"


def add(commands: Any) -> None:
    """Declare the command."""
    train = commands.add_parser(
        "train",
        help="train an architecture on digits, MNIST, FashionMNIST or CIFAR-10",
        description="Train a classifier. Writes run.safetensors after each epoch (from which --resume goes on bit for "
        "bit), model.safetensors, result.json and training.png; with --record also flow.json and flow.png.",
    )
    train.add_argument("arch", metavar="ARCH", help="plain, resnet, preact, highway, densenet, ...")
    add_recipe(train)
    train.add_argument("--depth", type=int, metavar="N", help="layers with weights (default: the architecture's)")
    train.add_argument("--width", type=int, metavar="N", help="channels, units or growth rate (default: as above)")
    train.add_argument("--activation", default="relu", metavar="NAME", help="in the place of every ReLU")
    train.add_argument("--init", default="default", metavar="NAME",
                        help="default, kaiming_normal, xavier_normal, orthogonal, or a number s_w²")  # fmt: skip
    train.add_argument("--lr", type=float, default=0.1, metavar="X", help="highest learning rate (default: 0.1)")
    train.set_defaults(**dict.fromkeys(DEFAULTS))  # what is not given is `Recipe`'s, or a resumed run's
    train.add_argument("--seed", type=int, metavar="N", help="of every draw (default: 0)")
    train.add_argument("--record", type=int, nargs="?", const=10, metavar="N",
                       help="watch the gradients at every N-th step (default without N: 10), also where the run goes "
                       "on; of several processes, those of rank 0's share")  # fmt: skip
    train.add_argument("--resume", action="store_true", help="go on from the run in --out, with its settings")
    train.add_argument("--save-every", type=int, metavar="N", help="save every N steps, too, not only each epoch")
    train.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda: where to compute (default: cpu)")
    train.add_argument("--out", type=Path, metavar="DIR", help="where results go (default: train-results/ARCH-DATA)")
    check_kernels(train)
    declare(train)
    train.set_defaults(run=run)


def add_recipe(parser: Any) -> None:
    """The settings that `train` and `sweep` share; their defaults are `Recipe`'s."""
    parser.add_argument("--data", default="digits", metavar="NAME",
                        help="digits (bundled), mnist, fashion-mnist, cifar10 (downloaded once)")  # fmt: skip
    parser.add_argument("--epochs", type=int, default=20, metavar="N",
                        help="passes through the data (default: 20; of a sweep: 100 steps instead)")  # fmt: skip
    parser.add_argument("--steps", type=int, metavar="N", help="number of batches, instead of epochs")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="(default: 64)")
    parser.add_argument("--optimizer", default="sgd", metavar="NAME", help="sgd, adam, adamw (default: sgd)")
    parser.add_argument("--momentum", type=float, default=0.9, metavar="X", help="of sgd (default: 0.9)")
    parser.add_argument("--weight-decay", type=float, default=1e-4, metavar="X", help="(default: 1e-4)")
    parser.add_argument("--schedule", default="cosine", metavar="NAME",
                        help="constant, step (a tenth after 1/2 and 3/4), cosine (default)")  # fmt: skip
    parser.add_argument("--warmup", type=float, default=0.0, metavar="X", help="share of the run (default: 0)")
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=None,
                        help="pad-and-crop and flips (default: for cifar10 only)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, and say where the results lie."""
    need(LAB | {"safetensors": "safetensors"})
    if arguments.distributed:
        return by_ranks(lambda ranks: _train(arguments, ranks), arguments.timeout)
    if arguments.sync_batch_norm or arguments.timeout is not None:
        raise UsageError("--sync-batch-norm and --timeout are for several processes: give --distributed as well")
    return _train(arguments, None)


def _train(arguments: argparse.Namespace, ranks: Any) -> int:
    """One process's part of it; `ranks` are all of them, if there are others."""
    from tinyres import training

    first = ranks is None or ranks.rank == 0  # it alone speaks, scores and writes
    console = terminal(quiet=not first)
    for name in ("record", "save_every"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value}: at least 1 is needed")
    given = _given(arguments)
    out = arguments.out or Path("train-results") / f"{given['arch']}-{given.get('data', training.Recipe.data)}"
    checkpoint = out / CHECKPOINT
    made = _prepare(given, arguments.device, checkpoint if arguments.resume else None, ranks)
    with held(out, console) if first else nullcontext():
        if first and arguments.resume:
            _take_up(made, checkpoint, console, 1 if ranks is None else ranks.size)
        elif first and checkpoint.exists():
            raise UsageError(f"{out} holds a run already: --resume goes on with it, --out names another folder")
        if ranks is not None:
            try:
                made = training.DataParallel(made, ranks, sync_batch_norm=arguments.sync_batch_norm)
            except ValueError as error:
                raise UsageError(str(error)) from error
        return _steps(arguments, made, out, ranks, console)


def _take_up(made: Any, checkpoint: Path, console: Any, processes: int) -> None:
    """Bring what was prepared to where the saved run stood."""
    from tinyres import training

    with going_on(checkpoint):
        training.resume(made, checkpoint)
    plain = training.Recipe(arch=made.recipe.arch, data=made.recipe.data)
    tell_resumed(console, made, f"{made.recipe.arch} on {made.recipe.data}", plain, processes)


def _steps(arguments: argparse.Namespace, made: Any, out: Path, ranks: Any, console: Any) -> int:
    """Take them, and write what they come to; the exit status."""
    from tinyres import training
    from tinyres.files import save as save_file
    from tinyres.training.witness import Witness

    recipe, checkpoint, first = made.recipe, out / CHECKPOINT, ranks is None or ranks.rank == 0
    recorder = recording(made, arguments.record, checkpoint) if first else None
    began, status = time.perf_counter(), 0
    with (
        writing(checkpoint),
        stopping() as stop,
        Witness() if first and ranks is not None else nullcontext() as witness,
        progress(console) as bars,
    ):
        if ranks is not None:
            ranks.asks_to_stop = lambda: bool(stop)
        if witness is not None:
            witness.tell(testimony(checkpoint, made.step if arguments.resume else None))
        try:
            bar = bars.add_task(f"{recipe.arch} on {recipe.data}", total=made.total, completed=made.step)
            for loss in checking(made.steps(recorder and recorder.recording), arguments.check_kernels, bars.console):
                bars.advance(bar)
                stops = stop if ranks is None else ranks.stopping
                if first and made.epoch_ends:
                    score = made.score()
                    say(bars.console, f"step {made.step:6}  lr {made.optimizer.lr:.2g}  training loss {loss:.4f}  "
                        f"test loss {score.loss:.4f}  accuracy {score.accuracy:.2%}")  # fmt: skip
                due = arguments.save_every and made.step % arguments.save_every == 0
                if first and (made.epoch_ends or due or stops):
                    save(made, recorder, checkpoint)
                    if witness is not None:
                        witness.tell(testimony(checkpoint, made.step))
                if stops:
                    say(console, f"stopped after step {made.step}; --resume goes on")
                    status = 130
                    break
        except training.Diverged as error:
            say(console, str(error), "diverged:", "bold red")
            status = 1
        except training.RankFailed as error:
            if not first:
                raise
            save(made, recorder, checkpoint)
            saved = f"saved after step {made.step}, --resume goes on from there, in as many processes as you like"
            raise training.RankFailed(f"{error}; {saved}", error.lost) from error
    if first:
        with writing(out):
            save_file(made.model, out / "model.safetensors")
            report(made, recorder, out, time.perf_counter() - began, 1 if ranks is None else ranks.size)
        tell_files(console, out)
    return status


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that were typed."""
    from tinyres import data, models
    from tinyres.training.recipe import FIELDS

    given = {name: getattr(arguments, name) for name in FIELDS if getattr(arguments, name) is not None}
    given["arch"] = known("architecture", given["arch"], models.CLASSIFIERS)
    if "data" in given:
        given["data"] = known("data set", given["data"], data.BY_NAME)
    if "steps" in given and "epochs" in given:
        raise UsageError(
            f"--steps {given['steps']} and --epochs {given['epochs']} both say how long the run is: give one of them"
        )
    return given


def _prepare(given: dict[str, Any], device: str, checkpoint: Path | None, ranks: Any) -> Any:
    """What is not given comes from the checkpoint's recipe, or, without one, from `Recipe`'s defaults."""
    from tinyres import training

    on_device(device)
    if ranks is not None:
        settle(ranks, device)
    first = ranks is None or ranks.rank == 0
    try:
        recipe: Any = _recipe(given, checkpoint) if first else None
        if ranks is not None:
            recipe = ranks.share(recipe)
        if not first:
            ranks.meet()  # until rank 0 has downloaded what is to be downloaded
        made = training.prepare(recipe, device=device)
        if first and ranks is not None:
            ranks.meet()
        return made
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _recipe(given: dict[str, Any], checkpoint: Path | None) -> Any:
    from tinyres import training
    from tinyres.training.state import refuse_another, saved_recipe

    if checkpoint is None:
        return training.Recipe(**given)
    with going_on(checkpoint):
        recipe = saved_recipe(checkpoint)
        refuse_another(checkpoint, replace(recipe, **given).differs_from(recipe))
    return recipe
