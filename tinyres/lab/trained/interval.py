"""Confidence interval of a mean over a few trained nets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.lab.law import CONFIDENCE


def half_width(values: Any) -> float:
    """Half of the 95 % interval of the mean, by Student's t: t s / sqrt(n)."""
    from scipy import stats

    n = len(values)
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.std(values, ddof=1) / np.sqrt(n))


def own_seeds(seed: int, count: int) -> list[int]:
    """The seeds of an experiment that trains `count` nets itself; no two seeds of the command share any."""
    return [count * seed + k for k in range(count)]
