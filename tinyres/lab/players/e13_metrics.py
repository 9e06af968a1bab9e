"""E13, GAN metrics: what they measure, how biased they are, and what they cannot detect.

Salimans et al. 2016 [salimans2016improved]; Heusel et al. 2017 [heusel2017gans]; Binkowski et al. 2018
[binkowski2018demystifying]; Kynkäänniemi et al. 2019 [kynkaanniemi2019improved]; Chong & Forsyth 2020
[chong2020effectively]; the Fréchet distance of Gaussians: Dowson & Landau 1982 [dowson1982frechet]; the unbiased MMD:
Gretton et al. 2012 [gretton2012kernel]; the bias of an entropy: Miller 1955 [miller1955note]; modes of mixtures:
Srivastava et al. 2017 [srivastava2017veegan].
"""

from __future__ import annotations

import numpy as np

from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick
from tinyres.lab.players import e13_frechet as frechet
from tinyres.lab.players.e13_coverage import WIDE, failures, mixtures
from tinyres.lab.players.e13_figure import draw
from tinyres.lab.players.e13_frechet import SEEDS, over_seeds
from tinyres.lab.players.e13_generators import NEAR, gaussian

SOURCES = (
    "Salimans et al. 2016; Heusel et al. 2017; Binkowski et al. 2018; Kynkäänniemi et al. 2019; Chong & Forsyth 2020"
)


def scores(options: Options) -> list[Law]:
    """The Inception Score between its bounds, and what a split costs."""
    laws, source = [], "Salimans et al. 2016"
    for confidence, what in ((1.0, "sure"), (0.9, "90 % sure"), (0.1, "without an opinion")):
        p = np.full((10, 10), (1 - confidence) / 9)
        np.fill_diagonal(p, confidence)
        measured = metrics.inception_score(p, splits=1).value
        predicted = theory.balanced_inception(10, confidence)
        laws.append(Law(f"Inception Score, 10 classes, {what}", measured, predicted, 1e-10, "check", source))

    def lost(rng: np.random.Generator) -> float:
        return float(np.log(10 / metrics.inception_score(np.eye(10)[rng.integers(10, size=1000)]).value))

    mean = float(np.mean(over_seeds(options, 5 * SEEDS, lost)))
    predicted = theory.share_bias(10, 100)
    name = "Inception Score, sure: ln(K/score) of splits of 100"
    return [*laws, Law(name, mean, predicted, 0.1 * predicted, "asymptotic", "Miller 1955")]


def kernels(options: Options) -> list[Law]:
    """The unbiased MMD: 0 for one distribution, and closed forms for two."""
    d, n, h, source = 8, 300, 2.0, "Gretton et al. 2012; derived: Gaussian integrals"
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

        found = over_seeds(options, SEEDS, measure)
        laws.append(Law.of_mean(f"MMD² ({kernel}), {what}", found, predicted, source, room=0.05 * predicted))
    return laws


def run(options: Options, tick: Tick) -> Result:
    """Closed forms, biases and blind spots."""
    if options.settings:
        tick()
        return frechet.case(options)
    laws = frechet.closed_forms(options)
    tick()
    bias, points = frechet.biases(options, tick)
    extrapolated, limit = frechet.extrapolation(options)
    tick()
    laws += [*bias, *extrapolated, *scores(options), *kernels(options)]
    tick()
    seen, table, ring = failures(options)
    rings = mixtures(options)
    wide = rings[1]
    laws += [*seen, *rings]
    tick()
    found = (
        f"Two samples of {frechet.NULL[1][1]:,} from one Gaussian in {frechet.NULL[1][0]} dimensions are "
        f"{bias[1].measured:.3f} apart (predicted {bias[1].predicted:.3f}), not 0. If every other mode of a "
        f"ring is missing, the Fréchet distance is {seen[0].measured:.2%} of that for four missing neighbours, but "
        f"recall is only {seen[1].measured:.2f}. On a ring {WIDE:g} times as wide, {wide.measured:.1%} of the samples "
        f"are of high quality (predicted {wide.predicted:.1%})."
    )
    return Result(
        laws,
        [table],
        {"": lambda figure: draw(figure, points, limit, ring)},
        {"null": points, "limit": limit},
        "A distance between finite samples is never 0: compare only at equal N, or extrapolate. All distributions here "
        "are known. A distance in the features of your own classifier is a 'Fréchet distance in classifier features', "
        "never comparable to a published FID.",
        found,
    )


EXPERIMENT = Experiment(
    name="E13",
    claim="a Fréchet distance depends on the number of samples, and no GAN metric detects every failure",
    question="What do the usual GAN metrics measure, how biased are they, and what can they not detect?",
    prediction="two samples of one Gaussian are d(d+5)/(2N) apart; closed forms for each metric",
    equation=r"E F = d (s_1 - s_2)^2 + \frac{d (s_1^2 + s_2^2)}{N} + \frac{s_1 s_2 d (d + 1)}{2 N} \quad "
    r"s_1 = s_2 = 1: \quad E F = \frac{d (d + 5)}{2 N}",
    source=f"{SOURCES}; the bias is derived",
    ticks=lambda options: 1 if options.settings else len(frechet.NULL) + len(frechet.CURVES) + 4 + 1,
    run=run,
    seconds=4,
    varies="all samples",
    conditions="Samples of Gaussians and of a ring of Gaussians, whose answers are known; features of real images have "
    "heavier tails. The bias is of leading order in 1/N; the next order in d/N vanishes, so it serves as long as there "
    "are more samples than dimensions. The extrapolation takes four times as many.",
    choices=(
        f"The extrapolated distance is the mean of {frechet.LIMITS} draws, since a single draw had been seen to miss "
        "the tolerance of 10 %.",
        f"The ring that misses three modes by {NEAR - 3:.2g} sd and the ring {WIDE:g} times as wide were added after a "
        "wrong rule for what counts as high quality had gone unnoticed.",
    ),
    settings=frechet.SETTINGS,
)
