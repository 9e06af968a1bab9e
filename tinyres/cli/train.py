"""`tinyres train`: train a classifier, with checkpoints and a report, on one process or several."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from tinyres.cli.common import LAB, UsageError, check_folder, data_set, file_name, known, make_folder, need, on_device
from tinyres.cli.conducting import CHECKPOINT, add_options, check_numbers, conduct, recipe_to_resume
from tinyres.cli.terminal import say, terminal
from tinyres.cli.train_distributed import add_options as add_distributed
from tinyres.cli.train_distributed import on_all_ranks

ARCHITECTURES = (  # `models.CLASSIFIERS`, which --help need not import
    "plain", "resnet", "preact", "highway", "densenet", "senet", "skipinit", "fixup", "stochastic_depth", "cnn", "mlp",
    "highway_mlp", "resnet_imagenet", "densenet_imagenet", "vit",
)  # fmt: skip
READERS = ("gpt",)  # `models.READERS`
USUAL = {  # what Transformers are trained with where nothing else is said; a run that is resumed has its own
    "vit": {"optimizer": "adamw", "lr": 1e-3, "warmup": 0.05},
    "gpt": {"data": "text:topics", "optimizer": "adamw", "lr": 3e-3, "warmup": 0.05, "batch_size": 32, "steps": 2000},
}
DEFAULTS = (  # fields of a recipe that a sweep takes from the parser
    "data", "epochs", "batch_size", "optimizer", "momentum", "weight_decay", "schedule", "warmup",
    "activation", "init", "lr", "image_size", "context",
)  # fmt: skip


def add(commands: Any) -> None:
    """Declare the command."""
    train = commands.add_parser(
        "train",
        help="train an architecture on digits, MNIST, FashionMNIST, CIFAR-10, your own images or a text",
        description="Train a classifier, or with gpt a model of text (`tinyres sample` lets it write). Writes "
        "run.safetensors after each epoch (from which --resume continues bit for bit), model.safetensors, result.json "
        "and training.png; with --record also flow.json, flow.png and run.html.",
        epilog="Example: tinyres train resnet --depth 20 --epochs 5 --record",
    )
    train.add_argument("arch", metavar="ARCH", help=f"{', '.join(ARCHITECTURES)}; for text {', '.join(READERS)}")
    add_recipe(train)
    train.add_argument("--depth", type=int, metavar="N", help="layers with weights (default: the architecture's)")
    train.add_argument("--width", type=int, metavar="N", help="channels, units or growth rate (default: as above)")
    train.add_argument(
        "--activation", default="relu", metavar="NAME", help="replacement for every ReLU (default: relu)"
    )
    train.add_argument("--init", default="default", metavar="NAME",
                        help="weights: default, kaiming_normal, xavier_normal, orthogonal, or a number s_w²",
                        )  # fmt: skip
    train.add_argument(
        "--context", type=int, metavar="N", help="characters of a text that gpt looks back on (default: 64)"
    )
    train.add_argument(
        "--lr",
        type=float,
        metavar="X",
        help="peak learning rate (default: 0.1; cnn and mlp 0.01, highway_mlp 0.03; gpt 0.003; Adam, and vit, 0.001)",
    )
    train.set_defaults(**dict.fromkeys(DEFAULTS))  # what is not given comes from `Recipe`, or from a resumed run
    train.add_argument("--seed", type=int, metavar="N", help="random seed (default: 0)")
    train.add_argument("--record", type=int, nargs="?", const=10, metavar="N",
                       help="record the gradients at every N-th step (default without N: 10); a resumed run continues "
                       "recording; with several processes, rank 0 records the gradients of its share")  # fmt: skip
    add_options(train, save_every=None, out="train-results/ARCH-DATA")
    add_distributed(train)
    train.set_defaults(run=run)


def add_recipe(parser: Any) -> None:
    """The settings that `train` and `sweep` share; their defaults are `Recipe`'s."""
    parser.add_argument("--data", default="digits", metavar="NAME",
                        help="data set: digits (bundled, default), mnist, fashion-mnist, cifar10 (downloaded once), or "
                        "the path of a folder with one folder of PNG or JPEG files per class (or with train and test "
                        "folders of that form), or of an .npz file (x, y); for gpt text:FILE, text:topics (Python's "
                        "help, the default) or text:source (its standard library)")  # fmt: skip
    parser.add_argument("--image-size", type=int, metavar="N",
                        help="resize your own images to N x N pixels (default: keep their size)")  # fmt: skip
    parser.add_argument("--epochs", type=int, default=20, metavar="N",
                        help="passes through the data (default: 20; for a sweep: 100 steps instead)")  # fmt: skip
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help="number of batches, in place of --epochs (default: see there)",
    )
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="samples per step (default: 64)")
    parser.add_argument("--optimizer", default="sgd", metavar="NAME", help="optimiser: sgd, adam, adamw (default: sgd)")
    parser.add_argument("--momentum", type=float, default=0.9, metavar="X", help="momentum of sgd (default: 0.9)")
    parser.add_argument("--weight-decay", type=float, default=1e-4, metavar="X", help="weight decay (default: 1e-4)")
    parser.add_argument("--schedule", default="cosine", metavar="NAME",
                        help="learning rate: constant, step (a tenth after 1/2 and 3/4), cosine (default)",
                        )  # fmt: skip
    parser.add_argument(
        "--warmup", type=float, default=0.0, metavar="X", help="share of the run for warmup (default: 0)"
    )
    parser.add_argument("--augment", action=argparse.BooleanOptionalAction, default=None,
                        help="pad, crop and flip images (default: for cifar10 only)")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Train, and print where the results are."""
    need(LAB | {"safetensors": "safetensors"})
    if arguments.distributed:
        return on_all_ranks(lambda ranks: _train(arguments, ranks), arguments.timeout)
    if arguments.sync_batch_norm or arguments.timeout is not None:
        raise UsageError("--sync-batch-norm and --timeout are for several processes: give --distributed as well")
    return _train(arguments, None)


def _train(arguments: argparse.Namespace, ranks: Any) -> int:
    """What one process does; `ranks` are all of them, if there are others."""
    from tinyres import data, training

    is_first = ranks is None or ranks.rank == 0  # it alone prints and writes
    console = terminal(quiet=not is_first)
    check_numbers(arguments, "record", "save_every")
    given = _given(arguments)
    out = (
        arguments.out or Path("train-results") / f"{given['arch']}-{file_name(given.get('data', training.Recipe.data))}"
    )
    if is_first:
        check_folder(out)
    made = _prepare(given, arguments, out, ranks)
    if made.test.found:
        say(console, made.test.found)
    if is_first and data.is_text(made.recipe.data):
        say(console, _to_beat(made))
    if is_first:
        make_folder(out)
    return conduct(
        training, made, arguments, out, console,
        ranks=ranks, sync_batch_norm=arguments.sync_batch_norm,
        make_recorder=lambda run: _recorder(run, arguments.record, out / CHECKPOINT),
        show=lambda history, run: _page(history, run, out / "run.html"),
    )  # fmt: skip


def _to_beat(made: Any) -> str:
    """What an n-gram model makes of the same text."""
    from tinyres import data

    model = data.KneserNey(data.text_of(made.loader.dataset), made.test.classes)
    nats = model.nats(data.text_of(made.test)).mean()
    return f"to beat: a {model.order}-gram model with Kneser-Ney smoothing has a test loss of {nats:.4f}"


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that were typed."""
    from tinyres import data, models
    from tinyres.training.recipe import FIELDS

    typed = {name: getattr(arguments, name, None) for name in FIELDS}
    given = {name: value for name, value in typed.items() if value is not None}
    given["arch"] = known("architecture", given["arch"], [*models.CLASSIFIERS, *models.READERS])
    if "data" in given and data.is_text(given["data"]):
        try:
            given["data"] = data.named_text(given["data"])
        except ValueError as error:
            raise UsageError(f"--data: {error}") from error
    elif "data" in given:
        given["data"] = data_set(given["data"], data.BY_NAME)
    if "steps" in given and "epochs" in given:
        raise UsageError(
            f"--steps {given['steps']} and --epochs {given['epochs']} both say how long the run is: give one of them"
        )
    usual = {} if arguments.resume else dict(USUAL.get(given["arch"], {}))
    if "epochs" in given:
        usual.pop("steps", None)
    return usual | given


def _prepare(given: dict[str, Any], arguments: argparse.Namespace, out: Path, ranks: Any) -> Any:
    """The run. What is not given comes from the recipe in the folder, or, for a new run, from `Recipe`'s defaults."""
    from tinyres import training
    from tinyres.training.distributed import assign_hardware

    on_device(arguments.device)
    if ranks is not None:
        assign_hardware(ranks, arguments.device)
    is_first = ranks is None or ranks.rank == 0
    try:
        recipe: Any = None
        if is_first:
            recipe = recipe_to_resume(training, out, given) if arguments.resume else training.Recipe(**given)
        if ranks is not None:
            recipe = ranks.broadcast(recipe)
        if not is_first:
            ranks.barrier()  # until rank 0 has downloaded the data
        made = training.prepare(recipe, device=arguments.device)
        if is_first and ranks is not None:
            ranks.barrier()
        return made
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def _recorder(made: Any, every: int | None, checkpoint: Path) -> Any:
    """What records the run, from its start or as it was recorded before; None if nobody asks for it."""
    from tinyres import flow
    from tinyres.flow.instruments import kept

    if every is None and made.notes is None:
        return None
    try:
        recording = flow.record(made.model, every=kept.every(made.notes) if every is None else every)
        return kept.Kept(recording, made.step, made.notes)
    except ValueError as error:
        raise UsageError(f"--resume: {checkpoint}: its recording cannot continue: {error}") from error


def _page(history: Any, run: Any, path: Path) -> None:
    """The recording as a page to step through."""
    from tinyres import viewer

    unknown = [math.nan] * (1 + history.labels["step"][-1] - len(run.losses))  # of a step that diverged
    viewer.save(history, path, title=run.recipe.title, losses=[*run.losses, *unknown])
