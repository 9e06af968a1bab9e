"""Popular code listings that do not run: the first error of each, in the library's words, and a one-line fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import models, nn
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick

SERIAL = r" #\d+"  # a node's serial number, which depends on earlier computations
LATENT, WIDTH, BATCH = 100, 8, 4


@dataclass(frozen=True)
class Listing:
    """What is wrong, code that fails, text that the error must contain, the one-line fix, and code that runs."""

    wrong: str
    fails: Callable[[np.random.Generator], Any]
    mentions: str
    fix: str
    runs: Callable[[np.random.Generator], Any]


def tensor(rng: np.random.Generator, *shape: int) -> Any:
    return tr.tensor(rng.standard_normal(shape).astype(np.float32))


def loss_of(player: nn.Module, images: Any, target: float) -> Any:
    """Binary cross-entropy of D's logits (N, 1) with one target per image."""
    wanted = tr.tensor(np.full((len(images), 1), target, np.float32))
    return nn.BCEWithLogitsLoss()(player(images), wanted)


def second_backward(rng: np.random.Generator, *, retain: bool) -> Any:
    """One loss, backward twice: first for D, then for G."""
    g = models.dcgan.generator(LATENT, WIDTH, 1, rng=rng)
    d = models.dcgan.discriminator(WIDTH, 1, rng=rng)
    loss = loss_of(d, g(tensor(rng, BATCH, LATENT)), 0.0)
    tr.grad(loss, list(d.parameters()), retain_graph=retain)
    return tr.grad(loss, list(g.parameters()))


def joined(rng: np.random.Generator, padding: int) -> Any:
    """Fakes of 32x32 pixels and reals of 28x28, padded on all sides, through D in one batch."""
    fakes = models.dcgan.generator(LATENT, WIDTH, 1, rng=rng)(tensor(rng, BATCH, LATENT))
    reals = tr.pad(tensor(rng, BATCH, 1, 28, 28), (padding,) * 4)
    return models.dcgan.discriminator(WIDTH, 1, rng=rng)(tr.concatenate([fakes, reals], 0))  # (2 BATCH, 1)


def judged(rng: np.random.Generator, *head: nn.Module) -> Any:
    """Loss of a D that halves 32x32 twice and ends in a convolution of 4x4 pixels without padding: 8x8 -> 5x5."""
    first = nn.Conv2d(1, WIDTH, 4, stride=2, padding=1, rng=rng)
    second = nn.Conv2d(WIDTH, WIDTH, 4, stride=2, padding=1, rng=rng)
    last = nn.Conv2d(WIDTH, 1, 4, rng=rng)
    player = nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), last, *head)
    return loss_of(player, tensor(rng, BATCH, 1, 32, 32), 1.0)


def drawn(rng: np.random.Generator, *shape: int) -> Any:
    """Images from noise of this shape, through a generator that begins with a transposed convolution."""
    return nn.ConvTranspose2d(LATENT, WIDTH, 4, rng=rng)(tensor(rng, BATCH, *shape))


LISTINGS = [
    Listing(
        "a second backward through a freed graph",
        lambda rng: second_backward(rng, retain=False),
        "retain_graph=True",
        "grad(loss, D.parameters(), retain_graph=True)",
        lambda rng: second_backward(rng, retain=True),
    ),
    Listing(
        "fakes of 32x32 against reals of 28x28",
        lambda rng: joined(rng, 0),
        "28",
        "reals = tr.pad(reals, (2, 2, 2, 2))",
        lambda rng: joined(rng, 2),
    ),
    Listing(
        "a discriminator that ends 5x5",
        judged,
        "(4, 1, 5, 5)",
        "append nn.AdaptiveAvgPool2d(1), nn.Flatten()",
        lambda rng: judged(rng, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    ),
    Listing(
        "a z of five dimensions, (N, 100, 1, 1, 1)",
        lambda rng: drawn(rng, LATENT, 1, 1, 1),
        "(4, 100, 1, 1, 1)",
        "z = z[..., 0]: (N, 100, 1, 1)",
        lambda rng: drawn(rng, LATENT, 1, 1),
    ),
]


def error_of(listing: Listing, seed: int) -> str:
    """Type and text of the error that stops the listing; "" if it runs."""
    try:
        listing.fails(np.random.default_rng(seed))
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {re.sub(SERIAL, '', str(error))}"
    return ""


def mended(listing: Listing, seed: int) -> bool:
    """Whether the fixed listing runs and its result is finite."""
    try:
        found = listing.runs(np.random.default_rng(seed))
    except (ValueError, RuntimeError):
        return False
    return all(
        bool(np.isfinite(part.numpy()).all()) for part in (found if isinstance(found, tuple | list) else [found])
    )


def run(options: Options, tick: Tick) -> Result:
    """Each listing as printed, then fixed."""
    laws, rows = [], []
    for listing in LISTINGS:
        error = error_of(listing, options.seed)
        told = float(listing.mentions in error)
        laws.append(Law(f"{listing.wrong}: 1 if it stops and says why", told, 1.0, 0.0, "check", "by running it"))
        runs = float(mended(listing, options.seed))
        laws.append(Law(f"{listing.wrong}: 1 if the fix runs", runs, 1.0, 0.0, "check", "by running it"))
        rows.append([listing.wrong, error, listing.fix])
        tick()
    table = Table("Listings that do not run", ["listing", "error", "fix"], rows)
    stopped, ran = (sum(law.ok for law in laws[k::2]) for k in (0, 1))
    words = (
        f"{stopped} of {len(LISTINGS)} widely printed listings stop with an error that says why, and {ran} of "
        f"{len(LISTINGS)} run with one line changed: nobody can have run them as printed."
    )
    return Result(laws, [table], note="Each listing was run; the errors are the library's own.", found=words)


EXPERIMENT = Experiment(
    name="claim-listings",
    question="Do widely printed GAN listings run as printed?",
    claim="widely printed listings run as printed",
    prediction="each stops with an error that says why, and runs with one line changed",
    source="by running them",
    ticks=lambda options: len(LISTINGS),
    run=run,
    seconds=1,
    varies="weights and images; whether a listing stops depends only on shapes",
    conditions="Whether a listing stops depends on the library: another one may broadcast, or keep a graph, where this "
    "one raises an error.",
)
