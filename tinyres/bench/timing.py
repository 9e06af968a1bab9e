"""Interleaved timing: the peers in turn, again and again, so that a slow moment of the machine falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over rounds and the quartiles around it."""

    median: float
    lower: float
    upper: float

    def to_json(self) -> dict[str, float]:
        return {"median_s": self.median, "lower_quartile_s": self.lower, "upper_quartile_s": self.upper}


def interleave(peers: dict[str, Callable[[], Any]], rounds: int, burst: int, warm_up: int = 3) -> dict[str, Timing]:
    """Time each peer `rounds` times, `burst` calls at once, in an order that rotates from round to round.

    The first `warm_up` rounds are not counted: they compile, allocate and fill caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for r in range(warm_up + rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            call = peers[name]
            start = time.perf_counter()
            for _ in range(burst):
                call()
            if r >= warm_up:
                seconds[name].append((time.perf_counter() - start) / burst)
    found = {}
    for name, values in seconds.items():
        lower, median, upper = np.percentile(values, [25, 50, 75])
        found[name] = Timing(float(median), float(lower), float(upper))
    return found
