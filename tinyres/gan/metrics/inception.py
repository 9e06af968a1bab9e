"""The Inception Score: what a classifier's answers to the samples say about the generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.gan.metrics.metric import Array, checked, sentence


@dataclass(frozen=True)
class InceptionScore:
    """The score's mean and standard deviation over the splits.

    Attributes:
        classes: K, the most that the score can be.
    """

    value: float
    spread: float
    classifier: str
    samples: int
    splits: int
    classes: int
    note: str = "not comparable with a published Inception Score"

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        found = f"Inception Score {self.value:.4g} ± {self.spread:.2g} (1 to {self.classes}, {self.splits} splits)"
        return sentence(found, f"the answers of {self.classifier}", (self.samples,), self.note)


def inception_score(probabilities: Any, *, splits: int = 10, classifier: str = "a classifier") -> InceptionScore:
    """exp of the mean over samples of KL(p(y|x) || p(y)), that is exp I(x; y): 1 <= score <= K.

    K: the classifier is sure of every sample and every class comes equally often; 1: all answers are alike. It never
    sees the real data: K images, one per class and repeated forever, get the best score. In a split of n samples p(y)
    is an estimate, which costs ln score about (K - 1) / (2 n).

    Args:
        probabilities: (N, K), rows that sum to 1.
        splits: the samples are scored in this many parts, in their order.
        classifier: whose probabilities these are.

    Raises:
        ValueError: rows that are no probabilities, or fewer samples than splits.

    Salimans et al. 2016 [salimans2016improved], "Improved techniques for training GANs", where the classifier is an
    Inception net.
    """
    p = checked("inception_score", "probabilities", probabilities, least=1)
    if p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-4:
        raise ValueError(
            "inception_score: every row must be probabilities, at least 0 and of sum 1; these are at least "
            f"{p.min():.3g} with sums from {p.sum(axis=1).min():.4g} to {p.sum(axis=1).max():.4g}; "
            "logits become probabilities by tr.softmax"
        )
    if not 1 <= splits <= len(p):
        raise ValueError(f"inception_score: splits must be between 1 and the {len(p)} samples, got {splits}")
    p /= p.sum(axis=1, keepdims=True)  # float32's rounding would leave [1, K]
    scores = [np.exp(_entropy(part.mean(axis=0)) - _entropy(part).mean()) for part in np.array_split(p, splits)]
    value = float(np.clip(np.mean(scores), 1, p.shape[1]))  # within rounding
    return InceptionScore(value, float(np.std(scores)), classifier, len(p), splits, p.shape[1])


def _entropy(p: Array) -> Array:
    """-Σ p ln p over the last axis, in nats, with 0 ln 0 = 0."""
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    entropy: Array = -(p * logs).sum(axis=-1)
    return entropy
