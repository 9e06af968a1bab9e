"""E13: what the metrics of a generator measure, how far off their figures are, and what they cannot see.

Salimans 2016; Heusel 2017; Binkowski 2018; Kynkäänniemi 2019; Chong & Forsyth 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres import data
from tinyres.flow.experiments.experiment import Experiment, Law, Options, Result, Table, Tick, shown
from tinyres.flow.experiments.players.e13_figure import draw
from tinyres.flow.experiments.players.e13_generators import GAPS, POINTS, RING, SD, gaussian, generators
from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics

Array = np.ndarray[Any, Any]

NULL = [(8, 1000, 100), (32, 1000, 20), (64, 2000, 6)]  # dimensions, samples of each side, seeds
CURVES = [(8, 60, 20), (8, 250, 20), (8, 4000, 10), (32, 150, 4), (32, 400, 4), (64, 250, 3), (64, 700, 3)]
SEEDS, LIMITS = 20, 10
SOURCES = "Salimans 2016; Heusel 2017; Binkowski 2018; Kynkäänniemi 2019; Chong & Forsyth 2020"
BIAS = "derived: 2d/N from the means, d(d+1)/2N from the covariances"


def over_seeds(options: Options, seeds: int, measure: Callable[[np.random.Generator], float]) -> tuple[float, float]:
    """Mean and standard error of measure(rng) over seeds."""
    values = [measure(np.random.default_rng((options.seed, seed))) for seed in range(seeds)]
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(seeds))


# -- Fréchet ----------------------------------------------------------------------------------------------------------
def closed_forms(options: Options) -> list[Law]:
    """The distance against closed forms and SciPy's matrix root, with and without full rank."""
    rng, d = np.random.default_rng((options.seed, 0)), 64
    shift, identity = gaussian(rng, 1, d)[0], np.eye(d)
    round_ones = metrics.frechet_gaussians(np.zeros(d), 1.44 * identity, shift, 0.25 * identity)
    predicted = theory.isotropic_frechet(d, 1.2, 0.5, float(np.linalg.norm(shift)))
    name = "Fréchet distance,"
    laws = [Law(f"{name} two round Gaussians, d=64", round_ones, predicted, 1e-8, "exact", "Heusel 2017")]
    a, b = gaussian(rng, 300, d), gaussian(rng, 400, d, rng.uniform(0.1, 2, d))
    measured = metrics.frechet_distance(a, b).value
    laws.append(Law(f"{name} full rank, against scipy's sqrtm", measured, by_sqrtm(a, b), 1e-8, "check", "Heusel 2017"))
    few = gaussian(rng, 20, d)
    mean = few.mean(axis=0)
    halved, trace = mean + 0.5 * (few - mean), float(np.trace(np.cov(few.T)))
    measured, predicted = metrics.frechet_distance(few, halved).value, theory.shrunk_frechet(trace, 0.5)
    source = "derived: (1 - a)² tr C for samples shrunk by a"
    laws.append(Law(f"{name} 20 samples in 64 dimensions", measured, predicted, 1e-8, "exact", source))
    error = by_sqrtm(few, halved) - predicted
    laws.append(shown(f"{name} the same: error of the route by scipy's sqrtm", error))
    return laws


def by_sqrtm(a: Array, b: Array) -> float:
    """The distance as its equation is written: Re tr (C_a C_b)^½ by a general matrix square root."""
    from scipy.linalg import sqrtm

    difference, first, second = a.mean(axis=0) - b.mean(axis=0), np.cov(a.T), np.cov(b.T)
    root = sqrtm(first @ second)
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * np.trace(root).real)


def null_distance(n: int, d: int, sd: Any = 1.0) -> Callable[[np.random.Generator], float]:
    """Measures the distance between two samples of one Gaussian."""
    return lambda rng: metrics.frechet_distance(gaussian(rng, n, d, sd), gaussian(rng, n, d, sd)).value


def biases(options: Options, tick: Tick) -> tuple[list[Law], list[dict[str, float]]]:
    """Two samples of one Gaussian are not at distance 0; and the points of the figure."""
    laws, points = [], []
    for d, n, seeds in (*NULL, *CURVES):
        mean, error = over_seeds(options, seeds, null_distance(n, d))
        points.append({"d": d, "N": n, "distance": mean, "error": error})
        if (d, n, seeds) in NULL:
            predicted = theory.frechet_null_bias(d, n)
            name = f"bias: two samples of one Gaussian, d={d}, N={n:,}"
            laws.append(Law(name, mean, predicted, 0.1 * predicted, "asymptotic", BIAS))
        tick()
    sd = np.arange(1, 33) ** -0.5
    mean, _ = over_seeds(options, SEEDS, null_distance(POINTS, 32, sd))
    predicted = metrics.null_bias(np.diag(sd**2), POINTS, POINTS)
    name = f"bias: variances 1, 1/2, ..., 1/32, N={POINTS:,}"
    laws.append(Law(name, mean, predicted, 0.1 * predicted, "asymptotic", "derived: the metric of Bures"))
    tick()
    return laws, points


def extrapolation(options: Options) -> tuple[list[Law], dict[str, Any]]:
    """A distance that is known, from 1,000 samples and in the limit of many."""
    true = theory.isotropic_frechet(32, 1.0, 1.2)
    limits = []
    for seed in range(LIMITS):
        rng = np.random.default_rng((options.seed, seed))
        a, b = gaussian(rng, POINTS, 32), gaussian(rng, POINTS, 32, 1.2)
        limits.append(metrics.frechet_limit(a, b, seed=seed, draws=2))
    distances = np.mean([limit.distances for limit in limits], axis=0)
    value = float(np.mean([limit.value for limit in limits]))
    laws = [
        shown(f"d=32, s=1 against 1.2: Fréchet distance at N={POINTS:,}", float(distances[-1])),
        Law("the same, extrapolated to N=∞", value, true, 0.1 * true, "asymptotic", "Chong & Forsyth 2020"),
    ]
    return laws, {"sizes": limits[0].sizes, "distances": distances.tolist(), "value": value, "true": true}


# -- the others -------------------------------------------------------------------------------------------------------
def scores(options: Options) -> list[Law]:
    """The Inception Score between its bounds, and what a split costs."""
    laws, source = [], "Salimans 2016"
    for confidence, what in ((1.0, "sure"), (0.9, "90 % sure"), (0.1, "without an opinion")):
        p = np.full((10, 10), (1 - confidence) / 9)
        np.fill_diagonal(p, confidence)
        measured = metrics.inception_score(p, splits=1).value
        predicted = theory.balanced_inception(10, confidence)
        laws.append(Law(f"Inception Score, 10 classes, {what}", measured, predicted, 1e-10, "exact", source))

    def lost(rng: np.random.Generator) -> float:
        return float(np.log(10 / metrics.inception_score(np.eye(10)[rng.integers(10, size=1000)]).value))

    mean, _ = over_seeds(options, 5 * SEEDS, lost)
    predicted = theory.share_bias(10, 100)
    name = "Inception Score, sure: ln(K/score) of splits of 100"
    return [*laws, Law(name, mean, predicted, 0.1 * predicted, "asymptotic", "Miller 1955")]


def kernels(options: Options) -> list[Law]:
    """The unbiased MMD: 0 for one distribution, and closed forms for two."""
    d, n, h, source = 8, 300, 2.0, "Gretton 2012; derived: Gaussian integrals"
    cases: list[tuple[str, str, float, float]] = [
        ("one distribution", "polynomial", 1.0, 0.0),
        ("s=1 against 1.5", "polynomial", 1.5, theory.polynomial_mmd(d, 1, 1.5)),
        ("one distribution", "rbf", 1.0, 0.0),
        ("s=1 against 1.5", "rbf", 1.5, theory.rbf_mmd(d, 1, 1.5, 0, h)),
    ]
    laws = []
    for what, kernel, sd, predicted in cases:

        def measure(rng: np.random.Generator, kernel: str = kernel, sd: float = sd) -> float:
            return metrics.mmd(gaussian(rng, n, d), gaussian(rng, n, d, sd), kernel, bandwidth=h).value

        mean, error = over_seeds(options, SEEDS, measure)
        tolerance = max(0.05 * predicted, 3 * error)
        laws.append(Law(f"MMD² ({kernel}), {what}", mean, predicted, tolerance, "asymptotic", source))
    return laws


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
    same, as_perfect = "derived: same mean and covariance", "Kynkäänniemi 2019; beside a perfect generator's"
    share = gaps["Fréchet"] / half["Fréchet"]
    laws = [
        Law(f"{name} Fréchet distance over that without four neighbours", share, 0, 0.01, kind, same),
        Law(f"{name} recall is halved", gaps["recall"], 0.5 * perfect["recall"], 0.05, kind, as_perfect),
        Law(f"{name} precision stays", gaps["precision"], perfect["precision"], 0.05, kind, as_perfect),
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
    """High-quality share and reverse KL of the mixture itself."""
    n = 100_000
    share = metrics.mode_coverage(data.ring(n, seed=options.seed, dtype="float64").inputs, RING, SD).high_quality
    predicted = theory.high_quality_share()
    tolerance = 3 * float(np.sqrt(predicted * (1 - predicted) / n))
    name, source = "the ring itself:", "Srivastava 2017 (VEEGAN)"
    laws = [Law(f"{name} high-quality share", share, predicted, tolerance, "asymptotic", f"{source}; 1 - exp(-9/2)")]

    def divergence(rng: np.random.Generator) -> float:
        points = RING[rng.integers(8, size=POINTS)] + gaussian(rng, POINTS, 2, SD)
        return metrics.mode_coverage(points, RING, SD).reverse_kl

    mean, _ = over_seeds(options, 300, divergence)
    predicted = theory.share_bias(8, POINTS)
    law = Law(f"{name} reverse KL of {POINTS:,} samples", mean, predicted, 0.1 * predicted, "asymptotic", "Miller 1955")
    return [*laws, law]


def run(options: Options, tick: Tick) -> Result:
    """Closed forms, biases and blind spots."""
    laws = closed_forms(options)
    tick()
    bias, points = biases(options, tick)
    extrapolated, limit = extrapolation(options)
    tick()
    laws += [*bias, *extrapolated, *scores(options), *kernels(options)]
    tick()
    seen, table, ring = failures(options)
    laws += [*seen, *mixtures(options)]
    tick()
    return Result(
        laws,
        [table],
        {"": lambda figure: draw(figure, points, limit, ring)},
        {"null": points, "limit": limit},
        "A distance between finite samples is never 0: compare figures at equal N only, or extrapolated. All of this "
        "is on distributions that are known. In the features of a classifier of one's own it is a 'Fréchet distance in "
        "classifier features' and never comparable to a published FID.",
    )


EXPERIMENT = Experiment(
    name="E13",
    claim="a Fréchet distance depends on the number of samples, and no metric of generators sees everything",
    prediction="two samples of one Gaussian are d(d+5)/(2N) apart; closed forms for each metric",
    source=SOURCES,
    ticks=lambda options: len(NULL) + len(CURVES) + 4 + 1,
    run=run,
    seconds=3,
)
