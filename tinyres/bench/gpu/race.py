"""Peers in turns, each on its own clock, over more sets of inputs than the cache can hold."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinyres.bench.gpu.clocks import Clock
from tinyres.bench.timing import Call, Timing

SWEEP = 3  # times the cache that the inputs are to fill together
TURN = 2e-3  # seconds of the device in one turn of a peer, by repeating short calls
MOST = 50  # calls in a turn: more would not fit into the queue of launches, and the host would wait for the device
AHEAD, SLACK = 1.5, 1e-4  # the device is held for so many times what the host needs, and seconds more


@dataclass(frozen=True)
class Peer:
    """`calls`: the same work on different sets of inputs. `before`: settings that hold for a turn."""

    calls: Sequence[Call]
    clock: Clock
    before: Callable[[], Any] = lambda: None


class Pace(NamedTuple):
    """Seconds of the host and of the device for a call."""

    host: float
    both: float

    def burst(self, turn: float) -> int:
        """How many calls fill a turn."""
        return int(np.clip(turn / self.both, 1, MOST)) if self.both > 0 else MOST


class Result(NamedTuple):
    """Of one peer. first: seconds of the first call, what it compiles and searches included. device: of the device
    alone, all of a turn queued before it begins. called: as called, the host's launches included."""

    first: float
    device: Timing
    called: Timing

    def to_json(self) -> dict[str, Any]:
        return {"first_s": self.first, "device": self.device.to_json(), "called": self.called.to_json()}


def sets(bytes_each: float) -> int:
    """How many sets of inputs of this size no cache can hold: `SWEEP` times the L2 cache, and two at least."""
    import cupy

    cache = int(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice()).get("l2CacheSize", 0))
    return max(2, math.ceil(SWEEP * cache / bytes_each))


def race(peers: Mapping[str, Peer], rounds: int, turn: float | None = None) -> dict[str, Result]:
    """Every peer in turn, `rounds` times; first with the device held until all is queued, then as it is called.

    turn: seconds of a turn as called; a whole training step is to be followed by others, as it is in use.
    """
    firsts, paces = {}, {}
    for name, peer in peers.items():
        firsts[name], paces[name] = _warm_up(peer)
    device = _turns(peers, rounds, {name: pace.burst(TURN) for name, pace in paces.items()}, paces)
    called = _turns(peers, rounds, {name: pace.burst(turn or TURN) for name, pace in paces.items()}, None)
    return {name: Result(firsts[name], device[name], called[name]) for name in peers}


def _warm_up(peer: Peer) -> tuple[float, Pace]:
    """Seconds of the first call, and its pace when warm; afterwards every set of inputs has been used."""
    peer.before()
    began = time.perf_counter()
    peer.calls[0]()
    peer.clock.wait()
    first = time.perf_counter() - began
    for call in peer.calls:
        call()
    peer.clock.wait()
    began, started = time.perf_counter(), peer.clock.start()
    for call in peer.calls[:MOST]:
        call()
    host = (time.perf_counter() - began) / len(peer.calls[:MOST])
    both = peer.clock.stop(started) / len(peer.calls[:MOST])
    return first, Pace(host, both)


def _turns(
    peers: Mapping[str, Peer], rounds: int, bursts: Mapping[str, int], held: Mapping[str, Pace] | None
) -> dict[str, Timing]:
    """Seconds a call; `held`: the device waits for as long as the host needs to queue a turn."""
    taken: dict[str, list[float]] = {name: [] for name in peers}
    at = dict.fromkeys(peers, 0)
    names = list(peers)
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            peer, burst = peers[name], bursts[name]
            chosen = [peer.calls[(at[name] + i) % len(peer.calls)] for i in range(burst)]
            at[name] += burst
            peer.before()
            if held:
                peer.clock.hold(AHEAD * held[name].host * burst + SLACK)
            started = peer.clock.start()
            for call in chosen:
                call()
            taken[name].append(peer.clock.stop(started) / burst)
    return {name: Timing(*np.percentile(values, [50, 25, 75]).tolist()) for name, values in taken.items()}
