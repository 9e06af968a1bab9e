"""`tinyres gan`, and its first part, `train`: train a generator against a discriminator."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tinyres.cli import gan_compare, gan_evaluate, gan_watch
from tinyres.cli.common import LAB, UsageError, check_folder, data_set, file_name, known, make_folder, need, on_device
from tinyres.cli.conducting import CHECKPOINT, add_options, check_numbers, conduct, recipe_to_resume
from tinyres.cli.gan_evaluate import print_score
from tinyres.cli.terminal import say, terminal

NUMBERS = {  # settings of a run that are one number: what --help says
    "penalty_weight": (float, "weight of the penalty"),
    "penalty_every": (int, "add the penalty in every N-th step of D only, N-fold"),
    "burn_in": (float, "share of the steps in which the three --...-end options and --ema-rises take effect; 0: none"),
    "lr_end": (float, "share of both rates that is left after the burn-in"),
    "penalty_end": (float, "share of the penalty's weight that is left after the burn-in"),
    "beta2_end": (float, "beta2 after the burn-in"), "clip": (float, "bound on D's weights; 0: none"),
    "instance_noise": (float, "standard deviation of the noise, falling to 0 at the end of the run"),
    "d_steps": (int, "steps of D per step of G"), "batch_size": (int, "samples per step"),
    "steps": (int, "steps of G"), "lr_g": (float, "learning rate of G's Adam"),
    "lr_d": (float, "learning rate of D's Adam"), "beta1": (float, "beta1 of both Adams"),
    "beta2": (float, "beta2 of both Adams"), "latent": (int, "numbers in a noise vector"),
    "width": (int, "channels or units of both players"), "ema": (float, "decay of the averaged generator; 0: none"),
}  # fmt: skip


def add(commands: Any) -> None:
    """Declare the command and its parts."""
    gan = commands.add_parser("gan", help="train a GAN, sample from it, score it, probe its gradients, compare methods")
    parts = gan.add_subparsers(dest="part", metavar="PART", required=True)
    _add_train(parts)
    gan_evaluate.add(parts)
    gan_compare.add(parts)


def _add_train(parts: Any) -> None:
    train = parts.add_parser(
        "train",
        help="train two players on digits, ring8, grid25, mnist, fashion-mnist, cifar10, stacked-digits, "
        "stacked-mnist or your own images",
        epilog="Example: tinyres gan train --data ring8 --method wgan_gp --watch",
        description=f"Train a GAN. Writes {CHECKPOINT}, from which --resume continues bit for bit, "
        "generator.safetensors (the averaged one), samples.png and samples/, interpolations.png, training.png and "
        "result.json. The numbers of steps for mnist, fashion-mnist, cifar10 and stacked-mnist are guesses: no such "
        "run was measured.",
    )
    train.add_argument("--data", metavar="NAME", help="data set (default: digits, which needs no download), or the "
                       "path of a folder of PNG or JPEG files, with or without folders in it, or of an .npz file "
                       "(x)")  # fmt: skip
    train.add_argument("--image-size", type=int, metavar="N",
                       help="resize your own images to N x N pixels (default: keep their size, which must then be "
                       "the same)")  # fmt: skip
    train.add_argument(
        "--method",
        metavar="NAME",
        help="saturating, nonsaturating, least_squares, hinge, sn_hinge, "
        "wgan, wgan_gp, r1, r3gan or dragan (default: sn_hinge, or the plain method of --loss)",
    )
    settings = train.add_argument_group("settings", "The method and the data set choose the default of each.")
    settings.add_argument(
        "--loss",
        metavar="NAME",
        help="loss: saturating, nonsaturating, least_squares, hinge, wasserstein, relativistic, relativistic_average",
    )
    settings.add_argument("--arch", metavar="NAME", help="players: mlp, dcgan, gan64, resgan or r3gan")
    settings.add_argument("--penalty", metavar="NAME", help="penalty on D: gp, r1, r2, r1r2, dragan or none")
    settings.add_argument("--norm", metavar="NAME", help="normalisation in D: batch, layer or none")
    settings.add_argument(
        "--spectral-norm",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="divide D's weights by their spectral norm",
    )
    settings.add_argument("--conditional", action=argparse.BooleanOptionalAction, default=None,
                       help="tell both players the class of each sample; your own data need folders of classes, or y; "
                       "the score then says how often a sample is of the class asked for")  # fmt: skip
    settings.add_argument("--ema-rises", action=argparse.BooleanOptionalAction, default=None,
                       help="let the half-life of G's average rise from 0 in the burn-in")  # fmt: skip
    for name, (kind, said) in NUMBERS.items():
        settings.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N" if kind is int else "X", help=said)
    train.add_argument("--seed", type=int, metavar="N", help="random seed (default: 0)")
    train.add_argument(
        "--sample-every", type=int, metavar="N", help="steps between two pictures (default: a tenth of the run)"
    )
    train.add_argument("--watch", type=int, nargs="?", const=0, metavar="N",
                       help="look at the game in every N-th step (without N: 20 times), and write game.json, game.png, "
                       "run.html and report.html (default: do not); a look costs as much as some 50 steps")  # fmt: skip
    train.add_argument(
        "--score", action=argparse.BooleanOptionalAction, default=True, help="score G at the end (default: yes)"
    )
    add_options(train, save_every=250, out="gan-results/METHOD-DATA")
    train.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    """Train, and print where the results are."""
    need(LAB | {"safetensors": "safetensors", "scipy": "scipy"})
    from tinyres import gan

    console = terminal()
    on_device(arguments.device)
    check_numbers(arguments, "save_every", "sample_every")
    if arguments.watch is not None and arguments.watch < 0:
        raise UsageError(f"--watch {arguments.watch}: at least 1 is needed")
    given = _given(arguments)
    name = f"{given['method']}-{file_name(given.get('data', gan.GANRecipe.data))}"
    out = arguments.out or Path("gan-results") / f"{name}{'-conditional' * bool(given.get('conditional'))}"
    check_folder(out)
    try:
        if arguments.resume:
            typed = {name: value for name, value in given.items() if name != "method" or arguments.method is not None}
            recipe = recipe_to_resume(gan, out, typed)
        else:
            recipe = gan.GANRecipe.of(**given)
        trainer = gan.prepare(recipe, device=arguments.device)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    recipe = trainer.recipe
    if trainer.dataset.found:
        say(console, trainer.dataset.found)
        if arguments.score:
            say(console, "no score at the end: it would need a classifier of these images")
    make_folder(out)
    judge = lambda trainer: print_score(recipe, trainer.sample, None, 0, console, out.parent, arguments.device)
    more = {"judge": judge} if arguments.score and not trainer.dataset.found else {}
    return conduct(
        gan, trainer, arguments, out, console, sample_every=arguments.sample_every,
        make_watch=lambda trainer: gan_watch.make(trainer, arguments.watch, out / CHECKPOINT),
        show=lambda watch, trainer: gan_watch.show(watch, trainer, out), **more,
    )  # fmt: skip


def _given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of the recipe that were typed, and the method that a loss stands for."""
    from tinyres import gan, models

    typed = {name: getattr(arguments, name, None) for name in gan.recipe.FIELDS}
    given = {name: value for name, value in typed.items() if value is not None}
    if "data" in given:
        given["data"] = data_set(given["data"], gan.SHAPES)
    for name, names in (("loss", gan.LOSSES), ("arch", models.PLAYERS),
                        ("penalty", ["none", *gan.PENALTIES]), ("norm", gan.recipe.NORMS)):  # fmt: skip
        if name in given:
            hint = f"; --method {given[name]} is a method" if name == "loss" and given[name] in gan.METHODS else ""
            given[name] = known(name, given[name], names, hint)
    loss = given.get("loss")
    plain = gan.recipe.METHOD if loss is None else {"wasserstein": "wgan"}.get(loss, loss)
    return given | {"method": known("method", given.get("method", plain), gan.METHODS)}
