"""`tinyres bench resnet`, `gan`, `r3gan`, `gpt`: training steps beside PyTorch, on as many threads as the kernels use.

The nets, what their losses may differ by and the targets stand in works.py; `peers` and `disagreements` are the GPU's,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinyres.bench import agreement, process, report
from tinyres.bench import peers as rivals
from tinyres.bench.agreement import Disagreement
from tinyres.bench.clocks import Call, HostClock
from tinyres.bench.peers import TF32
from tinyres.bench.race import OURS, Peer, against, begin, race
from tinyres.bench.works import COMPILED, NETS, TF32_LOSSES, Net


def peers(
    net: Net, torch: Any | None, batch: int, device: str = "cpu", many: int = 1, compiled: bool = False
) -> dict[str, Callable[[], Peer]]:
    """How each peer is made; they train on `many` batches in turn. PyTorch on a GPU without TF32 and with it."""

    size: dict[str, Any] = {"batch": batch, "device": device, "sets": many}
    made: dict[str, Callable[[], Peer]] = {OURS: lambda: Peer([net.module.ours(**size)], read=_floats)}

    def pytorch(last: bool, before: Call, **more: bool) -> Peer:
        before()
        return Peer([net.module.pytorch(last, **size, **more)], before, _floats)

    for name, last, before in rivals.rivals(torch, tf32=device == "cuda"):
        made[name] = partial(pytorch, last, before)
    if compiled and torch is not None:
        made[COMPILED] = lambda: pytorch(True, lambda: None, compiled=True)
    return made


def _floats(losses: Any) -> list[float]:
    return [float(loss) for loss in (losses if isinstance(losses, tuple) else (losses,))]


def disagreements(net: Net, losses: Mapping[str, Sequence[float]]) -> list[Disagreement]:
    """The same net on the same images has the same losses in its first step."""
    wrong = []
    for i, (what, allowed) in enumerate(net.losses.items()):
        found = {name: np.float64(values[i]) for name, values in losses.items()}

        def limit(name: str, allowed: float = allowed) -> float:
            return TF32_LOSSES if name.endswith(TF32) else allowed

        wrong += agreement.disagreements(what, found, limit)
    return wrong


def main(
    kind: str,
    rounds: int,
    json_file: Path | None,
    memory: bool = True,
    compiled: bool = False,
    batch: int | None = None,
) -> int:
    """Measure, print the tables and verdicts, and say who is missing."""
    net, to, torch = NETS[kind], report.console(), rivals.load_torch()
    threads, missing = rivals.pin_threads(torch), [] if torch else ["PyTorch"]
    batch, clock = batch or net.batches["cpu"][0], HostClock()
    found = {name: make() for name, make in peers(net, torch, batch, compiled=compiled).items()}
    with to.status("first steps ..."):
        first = begin(found, clock, needed=found.keys() - {COMPILED})
    for name, why in first.refused.items():  # most likely there is no C++ compiler here
        missing.append(f"{name.split(',')[0]} ({why})")
    for name, taken in first.seconds.items():
        to.print(f"{name}: first step {taken:.2f} s, not counted below")
    with report.progress(to, "steps", rounds) as tick:
        times = race({name: found[name] for name in first.results}, clock, rounds, tick=tick)
    to.print(report.race(net.title.format(batch), times))
    verdicts = against(times, net.targets)
    document = {"threads": threads, "timings": report.timings(times)}
    if memory:
        measured, more = process.study(to, kind, batch, torch, threads, net.memory)
        document, verdicts = {**document, **measured}, verdicts + more
    return report.conclude(to, verdicts, missing, document, json_file, disagreements(net, first.results))
