"""`tinyres gan sample`, `score` and `probe`: pictures, metrics and gradients of a trained generator."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from tinyres.cli.common import (
    LAB,
    UsageError,
    check_folder,
    known,
    make_folder,
    make_room,
    need,
    on_device,
    progress,
    tell_files,
    writing,
)
from tinyres.cli.conducting import CHECKPOINT
from tinyres.cli.terminal import say, terminal

SHORT = {  # losses, as columns
    "saturating": "sat.", "nonsaturating": "non-sat.", "least_squares": "LSQ", "hinge": "hinge", "wasserstein": "W",
}  # fmt: skip


def add(parts: Any) -> None:
    """Declare the three commands."""
    sample = parts.add_parser(
        "sample",
        help="draw samples from a saved run",
        description="Draw samples from a saved run into one picture.",
        epilog="Example: tinyres gan sample gan-results/sn_hinge-digits --n 100 --out more.png",
    )
    sample.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=f"the {CHECKPOINT} of a run, or its folder")
    sample.add_argument("--n", type=int, default=64, metavar="N", help="number of samples (default: 64)")
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the noise (default: 0)")
    sample.add_argument("--label", type=int, metavar="N",
                        help="of a conditional run: the class to draw, a number (default: a row for each)")  # fmt: skip
    sample.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda: where G runs (default: cpu)")
    sample.add_argument("--out", type=Path, default=Path("samples.png"), metavar="PNG",
                        help="where to write the picture (default: samples.png)")  # fmt: skip
    sample.set_defaults(run=run_sample)
    text = "print Frechet distance, MMD, precision and recall, classes or modes of a saved run"
    score = parts.add_parser(
        "score",
        help=text,
        description=f"P{text[1:]}.",
        epilog="Example: tinyres gan score gan-results/sn_hinge-digits --n 500",
    )
    score.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help=f"the {CHECKPOINT} of a run, or its folder")
    score.add_argument("--n", type=int, metavar="N", help="number of samples (default: 1000 images, 2500 points)")
    score.add_argument("--seed", type=int, default=0, metavar="N", help="random seed of the noise (default: 0)")
    score.add_argument("--device", default="cpu", metavar="NAME",
                       help="cpu or cuda: where G and the classifier run (default: cpu)")  # fmt: skip
    score.set_defaults(run=run_score)
    probe = parts.add_parser(
        "probe",
        help="freeze G, train D, and measure the gradient that every loss would give G",
        description="Freeze G and train D for 1, 3, 10, 30, ... steps. At each of these points, measure the norm and "
        "direction of G's gradient for every loss. Writes probe.png and probe.json.",
        epilog="Example: tinyres gan probe --data gaussians --distance 6",
    )
    probe.add_argument(
        "--data", default="digits", metavar="NAME", help="data set: digits (default), gaussians, or another"
    )
    probe.add_argument("--checkpoint", type=Path, metavar="FILE", help="take G from this run; default: a fresh one")
    probe.add_argument("--steps", type=int, default=1000, metavar="N", help="number of steps of D (default: 1000)")
    probe.add_argument(
        "--distance", type=float, default=4.0, metavar="X", help="distance of the gaussians (default: 4)"
    )
    probe.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    probe.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda: where to compute (default: cpu)")
    probe.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: gan-results/probe-DATA)")
    probe.set_defaults(run=run_probe)


def run_sample(arguments: argparse.Namespace) -> int:
    """Draw samples of a saved run into a PNG file."""
    need(LAB | {"safetensors": "safetensors"})
    from tinyres import gan

    _at_least(1, "n", arguments.n)
    _at_least(0, "seed", arguments.seed)
    on_device(arguments.device)
    make_room(arguments.out, "--out")
    recipe, generator = _load(arguments.checkpoint, arguments.device)
    noise, labels, columns = _asked(recipe, arguments.n, arguments.label, arguments.seed)
    samples = gan.sample(generator, noise, labels)
    real = samples if samples.ndim > 2 else gan.real_data(recipe.data, recipe.seed).inputs
    title = f"{recipe.title}, {len(samples)} samples, seed {arguments.seed}"
    with writing(arguments.out):
        gan.pictures.write(arguments.out, gan.pictures.draw_samples, samples, real, title, columns)
    print(f"wrote {arguments.out}")
    return 0


def run_score(arguments: argparse.Namespace) -> int:
    """Print the metrics of a saved run."""
    need(LAB | {"safetensors": "safetensors", "scipy": "scipy"})
    from tinyres import gan

    if arguments.n is not None:
        _at_least(4, "n", arguments.n)
    _at_least(0, "seed", arguments.seed)
    recipe, generator = _load(arguments.checkpoint, arguments.device)
    folder = arguments.checkpoint if arguments.checkpoint.is_dir() else arguments.checkpoint.parent
    sample = lambda n, labels=None: gan.sample(generator, _noise(n, recipe.latent, arguments.seed), labels)
    print_score(recipe, sample, arguments.n, arguments.seed, terminal(), folder.parent, arguments.device)
    return 0


def run_probe(arguments: argparse.Namespace) -> int:
    """Probe, print the table, write the picture and the JSON file."""
    need(LAB | {"safetensors": "safetensors"})
    from tinyres import gan
    from tinyres.files import write_json
    from tinyres.gan.probe import draw, gaussians, probe

    console = terminal()
    name = known("data set", arguments.data, ["gaussians", *gan.SHAPES])
    _at_least(1, "steps", arguments.steps)
    _at_least(0, "seed", arguments.seed)
    if not math.isfinite(arguments.distance):
        raise UsageError(f"--distance {arguments.distance}: a finite number is needed")
    if arguments.checkpoint is not None and name == "gaussians":
        raise UsageError("--checkpoint: the gaussians have a generator of their own; name the checkpoint's data set")
    on_device(arguments.device)
    out = arguments.out or Path("gan-results") / f"probe-{name}"
    check_folder(out)
    settings = {"arch": "mlp", "latent": 2, "norm": "none"} if name == "gaussians" else {}
    recipe = gan.GANRecipe.of("nonsaturating", "ring8" if settings else name, seed=arguments.seed, **settings)
    try:
        generator, discriminator = gan.players(recipe)
        if settings:
            generator, dataset = gaussians(arguments.distance, arguments.seed)
        else:
            dataset = gan.real_data(name, arguments.seed)
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    whose = "a fresh G"
    if arguments.checkpoint is not None:
        saved, generator = _load(arguments.checkpoint, arguments.device)
        if saved.conditional:
            raise UsageError("--checkpoint: the probe takes players without classes, and this generator is "
                             "conditional; give a run without --conditional")  # fmt: skip
        if saved.data != name:
            raise UsageError(f"--checkpoint: a generator of {saved.data}, not of {name}; say --data {saved.data}")
        recipe, whose = saved, f"G of {arguments.checkpoint}"
    generator = generator.to(arguments.device)
    make_folder(out)
    wanted = [0, *(s for power in range(7) for s in (10**power, 3 * 10**power) if s < arguments.steps), arguments.steps]
    with progress(console) as bars:
        bar = bars.add_task(f"D against {whose}", total=arguments.steps)
        points = probe(generator, discriminator, dataset, latent=recipe.latent, steps=wanted, seed=arguments.seed,
                       batch_size=recipe.batch_size, tick=lambda step: bars.advance(bar))  # fmt: skip
    _print_probe(points, f"{name}: D learns, {whose} is frozen", console)
    document = {
        "data": name,
        "generator": whose,
        "seed": arguments.seed,
        "device": arguments.device,
        "points": [p.to_json() for p in points],
    }
    with writing(out):
        write_json(out / "probe.json", document)
        gan.pictures.write(out / "probe.png", draw, points, f"{name}: D learns, {whose} is frozen", size=(13, 4.8))
    tell_files(console, out)
    return 0


def _load(checkpoint: Path, device: str) -> Any:
    """The recipe of a saved run, and its generator on the device."""
    from tinyres import gan, training
    from tinyres.files import FileFormatError

    on_device(device)
    try:
        recipe, generator = gan.load_generator(checkpoint)
        return recipe, generator.to(device)
    except FileNotFoundError as error:
        raise UsageError(f"there is no file or folder {checkpoint}; `tinyres gan train` writes checkpoints") from error
    except (FileFormatError, training.CheckpointError, OSError) as error:
        raise UsageError(str(error)) from error


def _asked(recipe: Any, n: int, label: int | None, seed: int) -> tuple[Any, Any, int | None]:
    """Noise, labels and how many columns: of a conditional run the same noise in a row for each class, or one class."""
    import numpy as np

    from tinyres.gan.labels import MOST_ROWS, row_for_each

    if label is None and recipe.classes:
        columns = -(-n // min(recipe.classes, MOST_ROWS))
        return *row_for_each(recipe.classes, _noise(columns, recipe.latent, seed)), columns
    if label is not None and not 0 <= label < recipe.classes:
        there = (
            f"its classes are 0 to {recipe.classes - 1}" if recipe.classes else "it was trained without --conditional"
        )
        raise UsageError(f"--label {label}: the run has no such class; {there}")
    return _noise(n, recipe.latent, seed), None if label is None else np.full(n, label), None


def _at_least(least: int, name: str, value: int) -> None:
    if value < least:
        raise UsageError(f"--{name} {value}: at least {least} {'is' if least < 2 else 'are'} needed")


def _noise(n: int, latent: int, seed: int) -> Any:
    import numpy as np

    return np.random.default_rng(seed).standard_normal((n, latent))


def print_score(
    recipe: Any, sample: Any, n: int | None, seed: int, console: Any, folder: Path, device: str = "cpu"
) -> Any:
    """Score n samples of `sample(n)`, and print the result; `folder` keeps the classifier."""
    from tinyres import gan, training
    from tinyres.files import FileFormatError

    try:
        with progress(console) as bars:
            bar = bars.add_task("training the classifier for the score", total=None, visible=False)
            tick = lambda step, total: bars.update(bar, completed=step, total=total, visible=True)
            found = gan.score(recipe, sample, n=n, seed=seed, folder=folder, tick=tick, device=device)
    except (ValueError, FileFormatError, training.CheckpointError) as error:
        raise UsageError(str(error)) from error
    except (ImportError, OSError) as error:  # of the data set, or of the file that keeps the classifier
        raise UsageError(f"the score: {error}") from error
    if found.features:
        _print_images(found, console)
    else:
        for sentence in found.sentences:
            say(console, sentence)
    return found


def _print_images(found: Any, console: Any) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tinyres.gan.score import SURE

    say(console, f"in {found.features}:")
    table = Table("metric", "value", "meaning", box=SIMPLE_HEAD, pad_edge=False)
    of = found.figures
    ratio = f"{of['frechet_ratio']:.2f} times the {of['frechet_real']:.4g} between real halves"
    table.add_row("Fréchet distance", f"{of['frechet']:.4g}", ratio)
    table.add_row("MMD²", f"{of['mmd']:.4g}", f"± {of['mmd_error']:.2g}; 0: the same distribution")
    table.add_row("precision", f"{of['precision']:.3f}", "share of the samples that look real")
    table.add_row("recall", f"{of['recall']:.3f}", "share of the real data that samples reach")
    table.add_row("Inception Score", f"{of['inception_score']:.4g}", f"1 to {len(found.shares)}")
    table.add_row("sure", _percent(of["sure"]), f"samples classified with at least {SURE:.0%} confidence")
    if "asked" in of:
        least = f"as asked for; in the worst class {_percent(of['asked_least'])}"
        table.add_row("class", _percent(of["asked"]), least)
    console.print(table)
    shares = ", ".join(f"{name}: {_percent(share)}" for name, share in enumerate(found.shares))
    say(console, f"these by class: {shares}")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _print_probe(points: Any, title: str, console: Any) -> None:
    """Print the norms, and below them the cosines: side by side they would be wider than a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tinyres.gan.losses import OF_FAKES
    from tinyres.gan.probe import REFERENCE

    others = [loss for loss in OF_FAKES if loss != REFERENCE]
    norms, cosines = Table(box=SIMPLE_HEAD, padding=0), Table(box=SIMPLE_HEAD, padding=0)
    columns = {loss: SHORT[loss] for loss in OF_FAKES}
    for name in ("steps", "D's loss", "D(real)", "D(fake)", *columns.values()):
        norms.add_column(name, justify="right")
    for name in ("steps", *(columns[loss] for loss in others)):
        cosines.add_column(name, justify="right")
    for p in points:
        to = {loss: value for pair, value in p.cosines.items() if REFERENCE in pair for loss in pair}
        norms.add_row(str(p.step), f"{p.d_loss:.3g}", f"{p.d_real:.4f}", f"{p.d_fake:.2g}",
                      *(f"{p.norms[loss]:.2g}" for loss in OF_FAKES))  # fmt: skip
        cosines.add_row(str(p.step), *(f"{to[loss]:.2f}" for loss in others))
    for said, table in ((f"{title}: |gradient of G|, by loss", norms), (f"cosine to that of {REFERENCE}", cosines)):
        say(console, said)
        console.print(table)
