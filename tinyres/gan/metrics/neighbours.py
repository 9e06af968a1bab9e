"""Precision and recall: two figures, where a distance mixes bad samples and missing ones into one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.gan.metrics.metric import GIVEN, Array, checked_pair, sentence

BLOCK = 512  # rows of the distance matrix at a time


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares between 0 and 1; `samples` counts real ones, then generated ones."""

    precision: float
    recall: float
    k: int
    extractor: str
    samples: tuple[int, int]
    note: str = "both depend on the number of samples and on k: compare at equal ones"

    def __str__(self) -> str:
        found = f"precision {self.precision:.3f}, recall {self.recall:.3f} ({self.k} neighbours)"
        return sentence(found, self.extractor, self.samples, self.note)


def precision_recall(real: Any, fake: Any, k: int = 3, *, extractor: str = GIVEN) -> PrecisionRecall:
    """Precision: the share of fakes that lie on the real manifold; recall: of real samples on that of the fakes.

    The manifold of a set is the union of balls, one round each sample, that reach to its k-th nearest neighbour in the
    set, border included.

    Args:
        real, fake: features, (N, d) and (M, d), each with more than k samples.
        k: 3 in the paper.
        extractor: what the features are.

    Raises:
        TypeError, ValueError: features that are no finite matrices of the same width; k < 1, or too few samples for k.

    Kynkäänniemi et al. 2019 [kynkaanniemi2019improved], "Improved precision and recall metric for assessing generative
    models".
    """
    if k < 1:
        raise ValueError(f"precision_recall: k must be at least 1, got {k}")
    a, b = checked_pair("precision_recall", ("real", "fake"), real, fake, least=k + 1)
    return PrecisionRecall(_inside(b, a, k), _inside(a, b, k), k, extractor, (len(a), len(b)))


def _inside(points: Array, manifold: Array, k: int) -> float:
    """The share of `points` within the ball of any sample of `manifold`."""
    from scipy.spatial.distance import cdist

    radii, found = np.empty(len(manifold)), np.empty(len(points), bool)
    for start in range(0, len(manifold), BLOCK):
        distances = cdist(
            manifold[start : start + BLOCK], manifold
        )  # (BLOCK, M); one 0 in each row is the sample's own
        radii[start : start + BLOCK] = np.partition(distances, k, axis=1)[:, k]
    for start in range(0, len(points), BLOCK):
        distances = cdist(points[start : start + BLOCK], manifold)  # (BLOCK, M)
        found[start : start + BLOCK] = (distances <= radii).any(axis=1)
    return float(found.mean())
