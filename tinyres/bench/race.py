"""A race: peers that do the same piece of work, timed fairly, and a verdict on the times.

- A *peer* is one way of doing the work: ours, PyTorch's, NumPy's. It is a list of calls that differ in their inputs
  only. With more inputs than a cache can hold, no call finds its own still there.
- Peers take *turns*. A turn is one call, or as many short ones as fill some milliseconds. In each round every peer has
  one turn, and the round begins with another peer each time: a slow moment of the machine falls on all of them, and
  nobody always runs behind the same neighbour.
- A *time* is the median over the rounds, in seconds a call; its quartiles tell how steady it was.
- A *ratio* is our median over that of the fastest rival: below 1 we are faster. Its interval goes from our lower
  quartile over the rival's upper one to our upper over the rival's lower.
- A *verdict* is a value beside its target: what must be reached, and what one aims at.

A clock (clocks.py) says what a second is, on this machine's processor or on a GPU, and settles it before a turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinyres.bench.clocks import Call, Clock

OURS = "tinyres"


@dataclass(frozen=True)
class Peer:
    """One way of doing the work.

    calls: the work on different inputs, used one after another. before: settings that hold for a turn. read: turns a
    result into what can be compared with the other peers'.
    """

    calls: Sequence[Call]
    before: Callable[[], Any] = lambda: None
    read: Callable[[Any], Any] = lambda result: result


class Timing(NamedTuple):
    """Seconds a call: the median over the rounds and the quartiles around it."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        return cls(*np.percentile(seconds, [50, 25, 75]).tolist())

    def to_json(self) -> dict[str, float]:
        return {"median_s": self.median, "lower_quartile_s": self.lower, "upper_quartile_s": self.upper}

    def quartiles(self) -> str:
        """In milliseconds."""
        return f"{self.lower * 1e3:.2f} - {self.upper * 1e3:.2f}"


Times = dict[str, Timing]  # by the peers' names


class First(NamedTuple):
    """What came of everybody's first call. refused: why those that raised did so."""

    results: dict[str, Any]
    seconds: dict[str, float]
    refused: dict[str, str]


def begin(peers: Mapping[str, Peer], clock: Clock, needed: Collection[str]) -> First:
    """Call each peer once, compilation and all. One that raises drops out, unless it is `needed`."""
    first = First({}, {}, {})
    for name, peer in peers.items():
        try:
            first.results[name], first.seconds[name] = once(peer, clock)
        except Exception as error:
            if name in needed:
                raise
            first.refused[name] = said(error)
    return first


def once(peer: Peer, clock: Clock) -> tuple[Any, float]:
    """What the first call gives, and the seconds until it is there."""
    peer.before()
    began, started = time.perf_counter(), clock.start()
    result = peer.calls[0]()
    clock.stop(started)
    taken = time.perf_counter() - began
    return peer.read(result), taken


def race(
    peers: Mapping[str, Peer],
    clock: Clock,
    rounds: int,
    turn: float | None = None,
    tick: Callable[[], Any] = lambda: None,
) -> Times:
    """Time every peer `rounds` times, in turns. turn: seconds of one, if not the clock's. `tick` follows each round."""
    paces = {}
    for name, peer in peers.items():
        peer.before()
        paces[name] = pace(peer.calls[: clock.most], clock)
    bursts = {name: each.burst(clock.turn if turn is None else turn, clock.most) for name, each in paces.items()}
    taken: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            peer, burst = peers[name], bursts[name]
            calls = [peer.calls[i % len(peer.calls)] for i in range(r * burst, (r + 1) * burst)]
            peer.before()
            clock.warm_up(calls[0], paces[name].host * burst)
            started = clock.start()
            for call in calls:
                call()
            taken[name].append(clock.stop(started) / burst)
        tick()
    return {name: Timing.of(seconds) for name, seconds in taken.items()}


class Pace(NamedTuple):
    """Seconds a call: until the host has asked for it, and until it is done."""

    host: float
    done: float

    def burst(self, turn: float, most: int) -> int:
        """How many calls fill a turn."""
        return int(np.clip(turn / self.done, 1, most)) if self.done > 0 else most


def pace(calls: Sequence[Call], clock: Clock) -> Pace:
    """Of these calls one behind the other, and behind a first one that is not counted."""
    calls[0]()
    clock.stop(clock.start())
    began, started = time.perf_counter(), clock.start()
    for call in calls:
        call()
    host = time.perf_counter() - began
    return Pace(host / len(calls), clock.stop(started) / len(calls))


# -- ratios and verdicts -----------------------------------------------------------------------------------------------
class Ratio(NamedTuple):
    """A ratio of two times, and its interval."""

    value: float
    lower: float
    upper: float


def ratio(ours: Timing, theirs: Timing) -> Ratio:
    return Ratio(ours.median / theirs.median, ours.lower / theirs.upper, ours.upper / theirs.lower)


def fastest(times: Times, names: Collection[str]) -> str | None:
    """Which of these has the smallest median; None where none of them was measured."""
    return min((name for name in times if name in names), key=lambda name: times[name].median, default=None)


def geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


@dataclass(frozen=True)
class Target:
    """What must be reached, and what one aims at: at most so much, or at least (`at_least`)."""

    must: float
    aim: float | None = None
    at_least: bool = False

    def reached(self, value: float, limit: float | None) -> bool:
        return limit is not None and (value >= limit if self.at_least else value <= limit)

    def outcome(self, value: float) -> str:
        if self.reached(value, self.aim):
            return "aim met"
        return "met" if self.reached(value, self.must) else "MISSED"


@dataclass(frozen=True)
class Verdict:
    """A measured value beside its target."""

    what: str
    value: float
    target: Target
    unit: str = ""
    interval: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        return self.target.reached(self.value, self.target.must)

    def __str__(self) -> str:
        wanted = f"must {self.target.must:g}" + (f", aim {self.target.aim:g}" if self.target.aim is not None else "")
        return f"{self.what}: {self.value:.2f}{self.unit} ({wanted}): {self.target.outcome(self.value)}"

    def to_json(self) -> dict[str, Any]:
        must, aim = self.target.must, self.target.aim
        found: dict[str, Any] = {"value": self.value, "must": must, "aim": aim, "met": self.met}
        found["aim_met"] = None if aim is None else self.target.reached(self.value, aim)
        return found | ({"interval": self.interval} if self.interval else {})


def against(times: Times, targets: Mapping[str, Target]) -> list[Verdict]:
    """Ours against the fastest of the peers whose names begin with a target's key, where there are any."""
    verdicts = []
    for rival, target in targets.items():
        if best := fastest(times, [name for name in times if name.startswith(rival)]):
            value, *interval = ratio(times[OURS], times[best])
            verdicts.append(Verdict(f"{OURS} / {rival}", value, target, interval=(interval[0], interval[1])))
    return verdicts


def said(error: BaseException) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
