"""`tinyres gan`, and its first part, `train`: a generator against a discriminator."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinyres.cli import gan_looks
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
from tinyres.cli.gan_looks import CHECKPOINT, print_score
from tinyres.cli.terminal import say, terminal

NUMBERS = {  # settings of a run that are one number: what --help says
    "penalty_weight": (float, "of the penalty"), "clip": (float, "bound on D's weights; 0: none"),
    "instance_noise": (float, "standard deviation, falling to 0 at the run's end"),
    "d_steps": (int, "steps of D for one of G"), "batch_size": (int, "samples a step"), "steps": (int, "of G"),
    "lr_g": (float, "of G's Adam"), "lr_d": (float, "of D's Adam"), "beta1": (float, "of both Adams"),
    "beta2": (float, "of both Adams"), "latent": (int, "numbers in a noise vector"),
    "width": (int, "channels or units of both players"), "ema": (float, "decay of the averaged generator; 0: none"),
}  # fmt: skip


def add(commands: Any) -> None:
    """Declare the command and its four parts."""
    gan = commands.add_parser("gan", help="train a GAN, sample from it, score it, probe its gradients")
    parts = gan.add_subparsers(dest="part", metavar="PART", required=True)
    _add_train(parts)
    gan_looks.add(parts)


def _add_train(parts: Any) -> None:
    train = parts.add_parser(
        "train",
        help="train two players on digits, ring8, grid25, mnist, fashion-mnist or cifar10",
        description=f"Train a GAN. Writes {CHECKPOINT}, from which --resume goes on bit for bit, generator.safetensors "
        "(the averaged one), samples.png and samples/, interpolations.png, training.png and result.json. What is not "
        "given comes from the method and the data set.",
    )
    train.add_argument("--data", metavar="NAME", help="(default: digits, which needs no download)")
    train.add_argument("--method", metavar="NAME", help="saturating, nonsaturating, least_squares, hinge, sn_hinge, "
                       "wgan, wgan_gp, r1 or dragan (default: sn_hinge, or the plain method of --loss)")  # fmt: skip
    train.add_argument("--loss", metavar="NAME", help="saturating, nonsaturating, least_squares, hinge, wasserstein")
    train.add_argument("--arch", metavar="NAME", help="mlp, dcgan, gan64 or resgan")
    train.add_argument("--penalty", metavar="NAME", help="gp, r1, dragan or none")
    train.add_argument("--norm", metavar="NAME", help="in D: batch, layer or none")
    train.add_argument("--spectral-norm", action=argparse.BooleanOptionalAction, default=None, help="of D's weights")
    for name, (kind, said) in NUMBERS.items():
        train.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N" if kind is int else "X", help=said)
    train.add_argument("--seed", type=int, metavar="N", help="of every draw (default: 0)")
    train.add_argument("--resume", action="store_true", help="go on from the run in --out, with its settings")
    train.add_argument(
        "--save-every", type=int, default=250, metavar="N", help="steps between two saves (default: 250)"
    )
    train.add_argument("--sample-every", type=int, metavar="N", help="steps between two pictures (default: a tenth)")
    train.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda: where to compute (default: cpu)")
    train.add_argument("--score", action=argparse.BooleanOptionalAction, default=True, help="judge it at the end")
    check_kernels(train)
    train.add_argument("--out", type=Path, metavar="DIR", help="(default: gan-results/METHOD-DATA)")
    train.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    """Train, and say where the results lie."""
    need(LAB | {"safetensors": "safetensors", "scipy": "scipy"})
    from tinyres import gan

    console = terminal()
    on_device(arguments.device)
    given = _given(arguments)
    out = arguments.out or Path("gan-results") / f"{given['method']}-{given.get('data', gan.GANRecipe.data)}"
    checkpoint = out / CHECKPOINT
    recipe = _saved(arguments, given, checkpoint) if arguments.resume else _fresh(given)
    try:
        trainer = gan.prepare(recipe, device=arguments.device)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    sample_every = arguments.sample_every if arguments.sample_every is not None else max(1, recipe.steps // 10)
    for name, value in (("save-every", arguments.save_every), ("sample-every", sample_every)):
        if value < 1:
            raise UsageError(f"--{name} {value}: at least 1 is needed")
    with held(out, console, "samples"):
        if arguments.resume:
            with going_on(checkpoint):
                gan.resume(trainer, checkpoint)
            title = f"{recipe.method} on {recipe.data}"
            tell_resumed(console, trainer, title, gan.GANRecipe.of(recipe.method, recipe.data))
        elif checkpoint.exists():
            raise UsageError(f"{out} holds a run already: --resume goes on with it, --out names another folder")
        return _steps(arguments, trainer, out, sample_every, console)


def _steps(arguments: argparse.Namespace, trainer: Any, out: Path, sample_every: int, console: Any) -> int:
    """Take them, and write what they come to; the exit status."""
    from tinyres import gan, training
    from tinyres.files import save as save_file

    recipe, checkpoint = trainer.recipe, out / CHECKPOINT
    title = f"{recipe.method} on {recipe.data}"
    began, status = time.perf_counter(), 0
    try:
        with writing(checkpoint), stopping() as stop, progress(console) as bars:
            bar = bars.add_task(title, total=trainer.total, completed=trainer.step)
            if trainer.step and _due(trainer, sample_every) and not gan.pictures.drawn(out, trainer.step):
                gan.pictures.pictures(trainer, out, title)  # it was killed after it had saved
            for record in checking(trainer.steps(), arguments.check_kernels, bars.console):
                bars.advance(bar)
                if _due(trainer, arguments.save_every) or stop:
                    gan.save(trainer, checkpoint)
                if _due(trainer, sample_every) or stop:
                    gan.pictures.pictures(trainer, out, title)
                    say(bars.console, f"step {trainer.step:6}  {_told(record, recipe.loss)}")
                if stop:
                    say(console, f"stopped after step {trainer.step}; --resume goes on")
                    status = 130
                    break
    except training.Diverged as error:
        kept = f"{checkpoint} holds the last good state" if checkpoint.exists() else "nothing was saved before it"
        say(console, f"{error}; {kept}", "diverged", "bold red")
        return 1
    seconds = time.perf_counter() - began
    judged = (
        print_score(recipe, trainer.sample, None, 0, console, out.parent) if arguments.score and not status else None
    )
    with writing(out):
        save_file(trainer.average or trainer.generator, out / "generator.safetensors")
        _write_result(trainer, judged, seconds, out)
    tell_files(console, out)
    return status


def _due(trainer: Any, every: int) -> bool:
    return bool(trainer.step % every == 0 or trainer.step == trainer.total)


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The recipe's fields that were typed, and the method that a loss stands for."""
    from tinyres import gan, models

    given = {name: getattr(arguments, name) for name in gan.recipe.FIELDS if getattr(arguments, name) is not None}
    for name, names in (("data", gan.SHAPES), ("loss", gan.LOSSES), ("arch", models.PLAYERS),
                        ("penalty", ["none", *gan.PENALTIES]), ("norm", gan.recipe.NORMS)):  # fmt: skip
        if name in given:
            hint = f"; --method {given[name]} is a method" if name == "loss" and given[name] in gan.METHODS else ""
            given[name] = known("data set" if name == "data" else name, given[name], names, hint)
    loss = given.get("loss")
    plain = gan.recipe.METHOD if loss is None else {"wasserstein": "wgan"}.get(loss, loss)
    return given | {"method": known("method", given.get("method", plain), gan.METHODS)}


def _fresh(given: dict[str, Any]) -> Any:
    from tinyres import gan

    try:
        return gan.GANRecipe.of(**given)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _saved(arguments: argparse.Namespace, given: dict[str, Any], checkpoint: Path) -> Any:
    """The recipe of the run in the folder, which nothing that was typed may contradict."""
    from tinyres.gan.state import saved_recipe
    from tinyres.training.state import refuse_another

    typed = {name: value for name, value in given.items() if name != "method" or arguments.method is not None}
    try:
        with going_on(checkpoint):
            recipe = saved_recipe(checkpoint)
            refuse_another(checkpoint, replace(recipe, **typed).differs_from(recipe))
    except ValueError as error:
        raise UsageError(str(error)) from error
    return recipe


def _told(record: Any, loss: str) -> str:
    from tinyres.gan.trainer import LOG_LOSSES

    name = "D" if loss in LOG_LOSSES else "score"  # of the others no output is a probability
    return (
        f"loss D {record.d_loss:7.3f} G {record.g_loss:7.3f}  |gradient| D {record.d_grad_norm:.2g} "
        f"G {record.g_grad_norm:.2g}  {name}(real) {record.d_real:.2f} {name}(fake) {record.d_fake:.2f}"
    )


def _write_result(trainer: Any, judged: Any, seconds: float, out: Path) -> None:
    from tinyres.files import write
    from tinyres.flow.measurement import plain
    from tinyres.gan import StepRecord

    document = {
        "recipe": trainer.recipe.to_json(),
        "device": trainer.device,
        "parameters": {name: module.parameter_count() for name, module in trainer.modules.items()},
        "steps": trainer.step,
        "history": {name: [getattr(r, name) for r in trainer.history] for name in StepRecord._fields},
        "score": None if judged is None else judged.to_json(),
        "seconds": round(seconds, 1),
    }
    write(out / "result.json", json.dumps(plain(document), indent=1) + "\n")
