"""Do samples belong to the class that was asked for?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Asked:
    """How a conditional generator obeys.

    Attributes:
        share: of the samples, those that were read as the class that was asked for; with K equally frequent classes
            1 / K is chance.
        least: that share in the class where it is smallest, `worst`.
        samples: how many.
        reader: who told the classes apart, and how well it does.
    """

    share: float
    least: float
    worst: int
    samples: int
    reader: str

    def __str__(self) -> str:
        return (
            f"{100 * self.share:.1f} % of {self.samples:,} samples are of the class that was asked for, in the worst, "
            f"{self.worst}, {100 * self.least:.1f} %, as read by {self.reader}"
        )


def asked_for(labels: Any, read: Any, reader: str) -> Asked:
    """Compare the classes that were asked for with those that were read.

    Args:
        labels, read: (N,) class numbers.

    Raises:
        ValueError: they are not two rows of one length, or empty.
    """
    labels, read = np.asarray(labels), np.asarray(read)
    if labels.ndim != 1 or labels.shape != read.shape or not len(labels):
        raise ValueError(f"asked_for: needs two rows of class numbers, got {labels.shape} and {read.shape}")
    right = labels == read
    classes = np.unique(labels)
    shares = np.array([right[labels == c].mean() for c in classes])
    worst = int(shares.argmin())
    return Asked(float(right.mean()), float(shares[worst]), int(classes[worst]), len(labels), reader)
