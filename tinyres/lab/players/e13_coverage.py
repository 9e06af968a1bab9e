"""E13's ring of Gaussians: generators that fail in known ways, and which metrics detect it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import data
from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics
from tinyres.lab.experiment import Law, Options, Table
from tinyres.lab.players.e13_frechet import over_seeds
from tinyres.lab.players.e13_generators import (
    GAPS,
    MISSED,
    NEAR,
    POINTS,
    RING,
    SD,
    gaussian,
    generators,
)  # fmt: skip

MANY, WIDE = 100_000, 2.0  # samples; a generator so many times as wide as the data


def failures(options: Options) -> tuple[list[Law], Table, dict[str, Any]]:
    """Each metric on each of the generators: every one is blind to something."""
    real = data.ring(POINTS, seed=options.seed + 1).inputs.astype(np.float64)
    fakes, rows = generators(options), {}
    for name, fake in fakes.items():
        balls, cover = metrics.precision_recall(real, fake), metrics.mode_coverage(fake, RING, SD)
        rows[name] = {
            "Fréchet": metrics.frechet_distance(real, fake).value,
            "MMD², RBF h=0.2": metrics.mmd(real, fake, "rbf", bandwidth=0.2).value,
            "precision": balls.precision,
            "recall": balls.recall,
            "modes": cover.modes,
            "high quality": cover.high_quality,
            "reverse KL": cover.reverse_kl,
        }
    perfect, gaps, half = (rows[name] for name in list(fakes)[:3])
    name, kind = f"{GAPS} of a ring:", "asymptotic"
    same, as_perfect = "derived: same mean and covariance", "Kynkäänniemi et al. 2019; beside a perfect generator's"
    share = gaps["Fréchet"] / half["Fréchet"]
    laws = [
        Law(f"{name} Fréchet distance over that without four neighbours", share, 0, 0.01, kind, same),
        Law(f"{name} recall is halved", gaps["recall"], 0.5 * perfect["recall"], 0.05, kind, as_perfect),
        Law(f"{name} precision stays", gaps["precision"], perfect["precision"], 0.05, kind, as_perfect),
    ]
    near, how = rows[MISSED], f"by construction: 3 modes of 8 are missed by {NEAR - 3:.2g} sd"
    laws += [
        Law(f"{MISSED}: high-quality share", near["high quality"], 5 / 8, 0.0, "check", how),
        Law(f"{MISSED}: modes", near["modes"], 5, 0.0, "check", how),
        Law(f"{MISSED}: reverse KL", near["reverse KL"], 0.0, 1e-12, "check", how),
    ]
    note = (
        "Each is blind to something: the Fréchet distance to all but mean and covariance, precision to what is "
        "missing, recall to what is too much, modes to how a mode looks inside. Recall of repeated points is about 0, "
        "since the balls round them have no radius."
    )
    lines = [(name, *(f"{value:.3g}" for value in row.values())) for name, row in rows.items()]
    table = Table("What each metric sees", ("generator", *perfect), lines, note)
    return laws, table, {"real": real, "generated": fakes[GAPS], "scores": gaps}


def mixtures(options: Options) -> list[Law]:
    """High-quality share of the mixture itself and of a wider one, and the mixture's reverse KL.

    The wider one is the sharper test of what counts as near: a radius 1 % off puts it 5 standard errors off.
    """
    laws, source = [], "derived: 1 - exp(-r²/2); the rule of 3 sd: Srivastava et al. 2017"
    for name, width in (("the ring itself", 1.0), (f"a ring {WIDE:g} times as wide", WIDE)):
        points = data.gaussian_mixture(MANY, RING, width * SD, options.seed, dtype="float64").inputs
        share = metrics.mode_coverage(points, RING, SD).high_quality
        predicted = theory.high_quality_share(3 / width)
        tolerance = 3 * float(np.sqrt(predicted * (1 - predicted) / MANY))
        laws.append(Law(f"{name}: high-quality share", share, predicted, tolerance, "asymptotic", source))

    def divergence(rng: np.random.Generator) -> float:
        points = RING[rng.integers(8, size=POINTS)] + gaussian(rng, POINTS, 2, SD)
        return metrics.mode_coverage(points, RING, SD).reverse_kl

    mean = float(np.mean(over_seeds(options, 300, divergence)))
    predicted = theory.share_bias(8, POINTS)
    name = f"the ring itself: reverse KL of {POINTS:,} samples"
    return [*laws, Law(name, mean, predicted, 0.1 * predicted, "asymptotic", "Miller 1955")]
