"""Score a trained generator with every metric available for its data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyres.autograd.tensor import Array
from tinyres.files import PathLike
from tinyres.gan import metrics
from tinyres.gan.data import STACKED, mixture, real_data
from tinyres.gan.recipe import GANRecipe

SURE = 0.9  # the confidence that the classifier needs for its answer to count


@dataclass(frozen=True)
class Score:
    """Figures by name, and a sentence for each metric.

    Images: `frechet`, `frechet_real` (between two halves of the real data), `frechet_ratio`, `mmd`, `mmd_error`,
    `precision`, `recall`, `inception_score`, `least_class` (the rarest class's share of the samples, counting only
    those that the classifier is at least 90 % sure of) and `sure` (the share of those). Mixtures: `modes`,
    `high_quality`, `reverse_kl`. Stacked digits: `modes`, `reverse_kl`, and both of as many real samples,
    `modes_real` and `reverse_kl_real`. Images also have `shares`, one per class, and `features`, which name what they
    are compared by.
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
    sample: Callable[[int], Array],
    *,
    n: int | None = None,
    seed: int = 0,
    folder: PathLike | None = None,
    tick: Callable[[int, int], None] | None = None,
) -> Score:
    """Compare samples with the recipe's data.

    Args:
        sample: gives that many samples.
        n: samples; None: 1,000 images, 2,500 points, 26,000 stacks of digits.
        seed: of the classifier, and of how the real data are halved.
        folder: keeps the trained classifier.
        tick: of the classifier's training, see `metrics.classifier`.

    Raises:
        ValueError: samples that hold NaN or infinity; what the metrics raise.
    """
    if recipe.data in ("ring8", "grid25"):
        found = metrics.mode_coverage(sample(n or 2500), *mixture(recipe.data))
        figures = {
            "modes": float(found.modes), "high_quality": found.high_quality, "reverse_kl": found.reverse_kl,
        }  # fmt: skip
        return Score(figures, [str(found)])
    single = STACKED.get(recipe.data, recipe.data)
    extractor = metrics.classifier(single, seed, folder=folder, tick=tick)
    real = real_data(recipe.data, recipe.seed).inputs
    if recipe.data in STACKED:
        samples = _limited(sample(n or 26_000))
        order = np.random.default_rng(seed).permutation(len(real))[: len(samples)]
        stacked, reals = (metrics.stacked_modes(images, extractor) for images in (samples, real[order]))
        figures = {
            "modes": float(stacked.modes), "reverse_kl": stacked.reverse_kl,
            "modes_real": float(reals.modes), "reverse_kl_real": reals.reverse_kl,
        }  # fmt: skip
        return Score(figures, [str(stacked), f"real samples, read alike: {reals}"])
    return score_images(extractor, real, _limited(sample(n or 1000)), seed)


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
