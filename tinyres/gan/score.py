"""Score a trained generator with every metric available for its data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.files import PathLike
from tinyres.gan import metrics
from tinyres.gan.data import MIXTURES, STACKED, mixture, real_data
from tinyres.gan.recipe import GANRecipe

SURE = 0.9  # the confidence that the classifier needs for its answer to count


@dataclass(frozen=True)
class Score:
    """Figures by name, and a sentence for each metric.

    Images: `frechet`, `frechet_real` (between two halves of the real data), `frechet_ratio`, `mmd`, `mmd_error`,
    `precision`, `recall`, `inception_score`, `least_class` (the rarest class's share of the samples, counting only
    those that the classifier is at least 90 % sure of) and `sure` (the share of those). Mixtures: `modes`,
    `high_quality`, `reverse_kl`. Stacked digits: `modes`, `reverse_kl`, and both of as many real samples,
    `modes_real` and `reverse_kl_real`. Conditional players: `asked`, the share of the samples that are of the class
    which was asked for, and `asked_least`, that share in the worst class. Images also have `shares`, one per class, and
    `features`, which name what they are compared by.
    """

    figures: dict[str, float]
    sentences: list[str]
    shares: list[float] = field(default_factory=list)
    features: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"figures": self.figures, "class_shares": self.shares, "sentences": self.sentences}


def score(
    recipe: GANRecipe,
    sample: Callable[..., Array],
    *,
    n: int | None = None,
    seed: int = 0,
    folder: PathLike | None = None,
    tick: Callable[[int, int], None] | None = None,
    device: str = "cpu",
) -> Score:
    """Compare samples with the recipe's data.

    Args:
        sample: gives that many samples; of conditional players, `sample(n, labels=y)`, samples of these classes, which
            are as frequent as in the data.
        n: samples; None: 1,000 images, 2,500 points, 26,000 stacks of digits.
        seed: of the classifier, and of how the real data are halved.
        folder: keeps the trained classifier.
        tick, device: of the classifier, see `metrics.classifier`.

    Raises:
        ValueError: samples that hold NaN or infinity; what the metrics raise.
    """
    data = real_data(recipe.data, recipe.seed)
    n = n or (2500 if recipe.data in MIXTURES else 26_000 if recipe.data in STACKED else 1000)
    labels = None
    if recipe.conditional:
        labels = data.targets[np.random.default_rng(seed).integers(len(data), size=n)]
    samples = sample(n) if labels is None else sample(n, labels=labels)
    if recipe.data in MIXTURES:
        centers, sd = mixture(recipe.data)
        covered = metrics.mode_coverage(samples, centers, sd)
        figures = {
            "modes": float(covered.modes), "high_quality": covered.high_quality, "reverse_kl": covered.reverse_kl,
        }  # fmt: skip
        nearest = lambda: np.linalg.norm(samples[:, None] - centers, axis=2).argmin(axis=1)
        return _obeys(Score(figures, [str(covered)]), labels, nearest, "the nearest centre")
    samples = _limited(samples)
    extractor = metrics.classifier(STACKED.get(recipe.data, recipe.data), seed, folder=folder, tick=tick, device=device)
    real = data.inputs
    if recipe.data in STACKED:
        order = np.random.default_rng(seed).permutation(len(real))[: len(samples)]
        stacked, reals = (metrics.stacked_modes(images, extractor) for images in (samples, real[order]))
        figures = {
            "modes": float(stacked.modes), "reverse_kl": stacked.reverse_kl,
            "modes_real": float(reals.modes), "reverse_kl_real": reals.reverse_kl,
        }  # fmt: skip
        found = Score(figures, [str(stacked), f"real samples, read alike: {reals}"])
        return _obeys(found, labels, lambda: metrics.read_triples(samples, extractor)[0], extractor.classifier)
    read = lambda: extractor.probabilities(samples).argmax(axis=1)
    return _obeys(score_images(extractor, real, samples, seed), labels, read, extractor.classifier)


def _obeys(score: Score, labels: Array | None, read: Callable[[], Array], reader: str) -> Score:
    """The score, and of conditional players whether they make what is asked for."""
    if labels is None:
        return score
    found = metrics.asked_for(labels, read(), reader)
    figures = score.figures | {"asked": found.share, "asked_least": found.least}
    return replace(score, figures=figures, sentences=[*score.sentences, str(found)])


def _limited(images: Array) -> Array:
    """From -1 to 1, as in a picture: a generator without tanh may leave the range. NaN stays."""
    return np.clip(images, -1, 1)


def score_images(extractor: metrics.Extractor, real: Array, samples: Array, seed: int = 0) -> Score:
    """Compare images with as many real ones, which are at most half of the real data."""
    size = min(len(real) // 2, len(samples))
    order = np.random.default_rng(seed).permutation(len(real))
    one, other = (extractor.features(real[rows]) for rows in (order[:size], order[-size:]))
    features, probabilities = extractor.features(samples), extractor.probabilities(samples)
    frechet = metrics.frechet_distance(one, features[:size], extractor=extractor.name)
    between = metrics.frechet_distance(one, other, extractor=extractor.name)
    discrepancy = metrics.mmd(one, features[:size], extractor=extractor.name)
    neighbours = metrics.precision_recall(one, features[:size], extractor=extractor.name)
    inception = metrics.inception_score(probabilities, classifier=extractor.classifier)
    sure = probabilities.max(axis=1) >= SURE
    classes = probabilities.shape[1]
    shares = np.bincount(probabilities[sure].argmax(axis=1), minlength=classes) / len(samples)
    ratio = frechet.value / between.value
    figures = {
        "frechet": frechet.value, "frechet_real": between.value, "frechet_ratio": ratio,
        "mmd": discrepancy.value, "mmd_error": discrepancy.error,
        "precision": neighbours.precision, "recall": neighbours.recall, "inception_score": inception.value,
        "least_class": float(shares.min()), "sure": float(sure.mean()),
    }  # fmt: skip
    sentences = [
        f"{frechet}; {ratio:.2f} times the {between.value:.4g} between two halves of the real data",
        str(discrepancy),
        str(neighbours),
        str(inception),
        f"classes, of {len(samples):,} samples, where {extractor.classifier} is at least {SURE:.0%} sure: "
        + ", ".join(f"{name} {share:.1%}" for name, share in enumerate(shares)),
    ]
    return Score(figures, sentences, shares.tolist(), extractor.name)
