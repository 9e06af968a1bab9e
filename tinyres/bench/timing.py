"""Interleaved timing: the peers in turn, again and again, so that a slow moment of the machine falls on all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Call = Callable[[], Any]
TURN = 0.004  # seconds that a turn should last at least, by repeating short calls
PAUSE = 0.02  # seconds after which the idle threads of the peer before sleep: those of OpenMP spin for some 12 ms


@dataclass(frozen=True)
class Timing:
    """Seconds a call: the median over rounds and the quartiles around it."""

    median: float
    lower: float
    upper: float

    def to_json(self) -> dict[str, float]:
        return {"median_s": self.median, "lower_quartile_s": self.lower, "upper_quartile_s": self.upper}

    def quartiles(self) -> str:
        """In milliseconds."""
        return f"{self.lower * 1e3:.2f} - {self.upper * 1e3:.2f}"


def timed(call: Call) -> tuple[float, Any]:
    """The seconds that one call takes, and what it returns."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def seconds(call: Call) -> float:
    """How long one call takes."""
    return timed(call)[0]


def enough(call: Call) -> int:
    """How many calls last long enough to be timed together."""
    return int(np.clip(TURN / seconds(call), 1, 100))


def interleave(
    peers: dict[str, Call],
    rounds: int,
    burst: int | Mapping[str, int] = 1,
    warm_up: int = 3,
    pause: float = 0.0,
    tick: Callable[[], Any] = lambda: None,
) -> dict[str, Timing]:
    """Time each peer `rounds` times, `burst` calls (of each) at once, in an order that rotates from round to round.

    The first `warm_up` rounds are not counted: they compile, allocate and fill caches. With a `pause` (seconds) each
    turn begins with a rest and as long a time of calls that are not counted: threads that wait for more work spin for
    some milliseconds after a call, and would be charged to the next peer; and a thread that wakes may find itself on
    the core of the one that woke it, until the scheduler moves it some ticks later.
    `tick` is called after every round.
    """
    taken: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    bursts = burst if isinstance(burst, Mapping) else dict.fromkeys(peers, burst)
    for r in range(warm_up + rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            call = peers[name]
            if pause:
                time.sleep(pause)
                awake = time.perf_counter() + pause
                call()
                while time.perf_counter() < awake:
                    call()
            start = time.perf_counter()
            for _ in range(bursts[name]):
                call()
            if r >= warm_up:
                taken[name].append((time.perf_counter() - start) / bursts[name])
        tick()
    found = {}
    for name, values in taken.items():
        lower, median, upper = np.percentile(values, [25, 50, 75])
        found[name] = Timing(float(median), float(lower), float(upper))
    return found
