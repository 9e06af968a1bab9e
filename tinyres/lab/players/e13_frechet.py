"""E13: the Fréchet distance, its closed forms, its bias and its limit; and one case of the reader's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics
from tinyres.lab.experiment import Law, Options, Result, Setting, Tick, shown
from tinyres.lab.law import standard_error
from tinyres.lab.players.e13_figure import draw_case
from tinyres.lab.players.e13_generators import POINTS, Array, gaussian

NULL = [(8, 1000, 100), (32, 1000, 20), (64, 2000, 6)]  # dimensions, samples of each side, seeds
CURVES = [(8, 60, 20), (8, 250, 20), (8, 4000, 10), (32, 150, 4), (32, 400, 4), (64, 250, 3), (64, 700, 3)]
SEEDS, LIMITS = 20, 10
DRAWS, ENTRIES = (20, 200), 100_000  # pairs of samples of a case: as many as have so many entries, within limits
BIAS, CHONG = "derived: 2d/N from the means, d(d+1)/2N from the covariances", "Chong & Forsyth 2020"
SETTINGS = {
    "d": Setting(32, "dimensions", low=1, high=128),
    "N": Setting(1000, "samples of each side", low=20, high=5000),
    "s1": Setting(1.0, "standard deviation of one side", low=0.01, high=100),
    "s2": Setting(1.2, "standard deviation of the other", low=0.01, high=100),
}


def over_seeds(options: Options, seeds: int, measure: Callable[[np.random.Generator], float]) -> list[float]:
    """measure(rng) of each seed."""
    return [measure(np.random.default_rng((options.seed, seed))) for seed in range(seeds)]


def closed_forms(options: Options) -> list[Law]:
    """The distance against closed forms and SciPy's matrix root, with and without full rank."""
    rng, d = np.random.default_rng((options.seed, 0)), 64
    shift, identity = gaussian(rng, 1, d)[0], np.eye(d)
    round_ones = metrics.frechet_gaussians(np.zeros(d), 1.44 * identity, shift, 0.25 * identity)
    predicted = theory.isotropic_frechet(d, 1.2, 0.5, float(np.linalg.norm(shift)))
    name = "Fréchet distance,"
    laws = [Law(f"{name} two round Gaussians, d=64", round_ones, predicted, 1e-8, "check", "Dowson & Landau 1982")]
    a, b = gaussian(rng, 300, d), gaussian(rng, 400, d, rng.uniform(0.1, 2, d))
    measured = metrics.frechet_distance(a, b).value
    laws.append(
        Law(f"{name} full rank, against scipy's sqrtm", measured, by_sqrtm(a, b), 1e-8, "check", "Heusel et al. 2017")
    )
    few = gaussian(rng, 20, d)
    mean = few.mean(axis=0)
    halved, trace = mean + 0.5 * (few - mean), float(np.trace(np.cov(few.T)))
    measured, predicted = metrics.frechet_distance(few, halved).value, theory.shrunk_frechet(trace, 0.5)
    source = "derived: (1 - a)² tr C for samples shrunk by a"
    laws.append(Law(f"{name} 20 samples in 64 dimensions", measured, predicted, 1e-8, "check", source))
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
        found = over_seeds(options, seeds, null_distance(n, d))
        mean = float(np.mean(found))
        points.append({"d": d, "N": n, "distance": mean, "error": standard_error(found)})
        if (d, n, seeds) in NULL:
            predicted = theory.frechet_null_bias(d, n)
            name = f"bias: two samples of one Gaussian, d={d}, N={n:,}"
            laws.append(Law(name, mean, predicted, 0.1 * predicted, "asymptotic", BIAS))
        tick()
    sd = np.arange(1, 33) ** -0.5
    mean = float(np.mean(over_seeds(options, SEEDS, null_distance(POINTS, 32, sd))))
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
        Law("the same, extrapolated to N=∞", value, true, 0.1 * true, "asymptotic", CHONG),
    ]
    return laws, {"sizes": limits[0].sizes, "distances": distances.tolist(), "value": value, "true": true}


def case(options: Options) -> Result:
    """Samples of N(0, s1²) and N(0, s2²) in d dimensions: how far apart they are, and in the limit of many."""
    d, n, s1, s2 = (options.settings[name] for name in SETTINGS)
    draws = int(np.clip(ENTRIES // (n * d), *DRAWS))
    limits = []
    for seed in range(draws):
        rng = np.random.default_rng((options.seed, seed))
        limits.append(metrics.frechet_limit(gaussian(rng, n, d, s1), gaussian(rng, n, d, s2), seed=seed, draws=1))
    distances = np.array([limit.distances for limit in limits])  # (draws, sizes), the last with all samples
    values, true, bias = (
        np.array([x.value for x in limits]),
        theory.isotropic_frechet(d, s1, s2),
        theory.frechet_bias(d, n, s1, s2),
    )
    mean = float(distances[:, -1].mean())
    name = f"d={d}, s={s1:g} against {s2:g}, N={n:,}: Fréchet distance"
    found = f"{draws} pairs of {n:,} samples in {d} dimensions are {mean:.4g} apart on average"
    if n <= d:
        laws = [shown(name, mean)]
        found += f": no verdict, since the law takes more samples than dimensions. The Gaussians are {true:.4g} apart."
    else:
        laws = [Law.of_mean(name, distances[:, -1], true + bias, BIAS, room=0.1 * bias)]
        found += f" (predicted {true + bias:.4g}), though the Gaussians are {true:.4g} apart."
    limit = float(values.mean())
    if n > 4 * d:
        laws.append(Law.of_mean("the same, extrapolated to N=∞", values, true, CHONG, room=0.1 * true))
        found += f" Extrapolated to infinitely many samples: {limit:.4g}."
    elif n > d:
        found += " The extrapolation is not judged: its smallest subsets, of N/4, are no more than the dimensions."
    seen = {"sizes": limits[0].sizes, "distances": distances.mean(axis=0).tolist(), "value": limit, "true": true}
    title = f"s = {s1:g} against {s2:g} in {d} dimensions"
    return Result(laws, figures={"": lambda figure: draw_case(figure, seen, title)}, data=seen, found=found)
