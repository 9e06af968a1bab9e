"""What streams memory on the card: pools, batch norm, cross-entropy, updates, beside PyTorch and the copy bandwidth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from tinyres.bench import works
from tinyres.bench.agreement import gap
from tinyres.bench.convolutions import AGREE, FORMATS
from tinyres.bench.device import on_host
from tinyres.bench.gpu.clocks import CupyClock, TorchClock, free, load_torch
from tinyres.bench.gpu.kernels import OURS
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.gpu.race import Peer, race, sets

SIZES: dict[str, Any] = {"images": (1024, 32, 32, 16), "parameters": 20_000_000, "rows": 65_536}


def rows(rounds: int) -> Iterator[Row]:
    torch = load_torch()
    for work in works.works(**SIZES):
        yield attempt(work.name, partial(measure, torch, work, rounds))
        free(torch)


def measure(torch: Any | None, work: works.Work, rounds: int) -> Row:
    """Times of ours and of PyTorch's two formats; who disagrees with ours does not count."""
    seeds = range(sets(work.bytes))
    peers = {OURS: Peer([work.ours("cuda", seed) for seed in seeds], CupyClock())}
    clock = TorchClock(torch) if torch is not None else None
    for name, last in FORMATS.items() if torch is not None else ():
        layout = torch.channels_last if last else torch.contiguous_format  # type: ignore[union-attr]
        calls = [work.pytorch(torch, layout, "cuda", seed) for seed in seeds]
        peers[name] = Peer(calls, clock)  # type: ignore[arg-type]
    results = {name: on_host(peer.calls[0]()) for name, peer in peers.items()}
    wrong = {name: apart for name, r in results.items() if not (apart := gap(r, results[OURS])) <= AGREE}
    times = race(peers, rounds)
    return {"bytes": work.bytes, "timings": {name: r.to_json() for name, r in times.items()}, "disagree": wrong}
