"""Modes found: for data that are a mixture of round Gaussians whose centres are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres.gan.metrics.metric import Array, checked_pair

REACH = 3.0  # standard deviations


@dataclass(frozen=True)
class ModeCoverage:
    """What the samples cover of a mixture.

    Attributes:
        modes, of: covered ones, of all.
        high_quality: share of the samples within 3 standard deviations of their nearest centre.
        reverse_kl: KL(samples' modes || equal shares) in nats.
        counts: samples by nearest centre.
    """

    modes: int
    of: int
    high_quality: float
    reverse_kl: float
    samples: int
    counts: tuple[int, ...]

    def __str__(self) -> str:
        return (
            f"{self.modes} of {self.of} modes, {100 * self.high_quality:.1f} % high quality, "
            f"reverse KL {self.reverse_kl:.3g} nats, from {self.samples:,} samples; a mode is covered if at least one "
            f"sample lies within {REACH:g} standard deviations of it"
        )


def mode_coverage(points: Any, centers: Any, sd: float) -> ModeCoverage:
    """Modes covered, share of high-quality samples, and reverse KL over modes, for equally likely modes.

    Each sample belongs to its nearest centre. It is of high quality if it lies within 3 sd of it (Euclidean distance);
    even the mixture itself has only 1 - e^(-9/2) = 98.9 % of these in two dimensions. A mode is covered if it has *one*
    high-quality sample, so modes grow with the number of samples: 2,500 is usual. The reverse KL, Σ q ln(K q), counts
    all samples, also poor ones, and is about (K - 1) / (2 N) for the mixture itself.

    Args:
        points: (N, D).
        centers: (K, D).
        sd: standard deviation of a mode in each direction.

    Raises:
        TypeError, ValueError: no finite matrices of the same width, or sd that is not positive.

    Srivastava et al. 2017 [srivastava2017veegan], "VEEGAN", section 5; Lin et al. 2018 [lin2018pacgan], "PacGAN",
    section 4.1, for the reverse KL.
    """
    x, c = checked_pair("mode_coverage", ("points", "centers"), points, centers, least=1)
    if not sd > 0:
        raise ValueError(f"mode_coverage: sd must be positive, got {sd}")
    from scipy.spatial.distance import cdist

    distances = cdist(x, c)  # (N, K)
    nearest = distances.argmin(axis=1)
    good = distances.min(axis=1) <= REACH * sd
    counts: Array = np.bincount(nearest, minlength=len(c))
    share = counts[counts > 0] / len(x)
    reverse_kl = float((share * np.log(share * len(c))).sum())
    covered = len(np.unique(nearest[good]))
    return ModeCoverage(covered, len(c), float(good.mean()), reverse_kl, len(x), tuple(counts.tolist()))
