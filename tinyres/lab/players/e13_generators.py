"""The generators that E13 judges: samples of what may come out of training on a ring of eight Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import data
from tinyres.lab.experiment import Options

Array = np.ndarray[Any, Any]

RING, SD, POINTS = data.ring_centers(8), 0.01, 1000
GAPS, MISSED = "every other mode missing", "three modes just missed"
NEAR = 3.05  # standard deviations from their modes, where 3 are the limit of what is good


def gaussian(rng: np.random.Generator, n: int, d: int, sd: Any = 1.0) -> Array:
    """n samples of N(0, sd²) in d dimensions; sd: one number, or one for each dimension."""
    samples: Array = rng.standard_normal((n, d)) * sd
    return samples


def generators(options: Options) -> dict[str, Array]:
    """1,000 samples each of what generators that learn the ring of eight may end as."""
    rng, n = np.random.default_rng((options.seed, 2)), POINTS

    def ring(modes: Any, sd: float = SD) -> Array:
        return RING[rng.choice(modes, n)] + gaussian(rng, n, 2, sd)

    modes, angle = np.arange(n) % 8, 2 * np.pi * rng.random(n)
    away = SD * np.where(modes < 5, 6 - NEAR, NEAR)  # as far inside the limit as the others are outside
    missed = RING[modes] + away[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    some = data.ring(100, seed=options.seed).inputs.astype(np.float64)
    return {
        "perfect": ring(range(8)),
        GAPS: ring([0, 2, 4, 6]),
        "four neighbouring modes missing": ring([0, 1, 2, 3]),
        MISSED: missed,
        "five times as wide": ring(range(8), 5 * SD),
        "100 training points, repeated": some[rng.integers(100, size=n)],
        "one round Gaussian": gaussian(rng, n, 2, np.sqrt(0.5 + SD**2)),
    }
