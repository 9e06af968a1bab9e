"""Whole training steps on the card, ours beside eager PyTorch with cuDNN, with TF32 and without, and their memory.

A step is timed as it is called, launches included, over batches that no cache holds; nobody waits for a loss. Memory is
what a library's pool took from the card for three steps of this net, cuDNN's search for algorithms included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinyres.bench import gan, resnet
from tinyres.bench.convolutions import FORMATS
from tinyres.bench.gpu.clocks import CupyClock, TorchClock, allow_tf32, free, load_torch
from tinyres.bench.gpu.kernels import OURS, TF32
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.gpu.race import Peer, race, sets
from tinyres.bench.timing import timed

IMAGE_BYTES = 4 * 3 * 32 * 32


class Net(NamedTuple):
    """rtol: by how much first losses may differ, the last ones the most; see bench/gan.py on the second player's."""

    module: Any
    batches: tuple[int, ...]
    rtol: tuple[float, ...]


NETS = {
    "resnet": Net(resnet, (1024, 128), (1e-4,)),
    "gan": Net(gan, (64, 512), (1e-4, 1e-2)),
}
TF32_RTOL = 2e-2
TURN = 0.15  # seconds: several steps, one behind the other


def rows(rounds: int, name: str) -> Iterator[Row]:
    torch = load_torch()
    for batch in NETS[name].batches:
        yield {"batch": batch, **attempt(f"{name}, batch {batch}", partial(measure, torch, NETS[name], batch, rounds))}
        free(torch)


def measure(torch: Any | None, net: Net, batch: int, rounds: int) -> Row:
    """Times, memory and first losses of every peer. PyTorch's that raise are told; ours has to run."""
    many = sets(batch * IMAGE_BYTES)
    made = {OURS: partial(net.module.ours, batch, device="cuda", sets=many)}
    for name, last in FORMATS.items() if torch is not None else ():
        for tf32 in (False, True):
            made[name + (TF32 if tf32 else "")] = partial(net.module.pytorch, last, batch, device="cuda", sets=many)
    peers: dict[str, Peer] = {}
    row: Row = {"sets": many, "losses": {}, "memory_bytes": {}, "first_s": {}, "refused": {}}
    own, theirs = CupyClock(), TorchClock(torch) if torch is not None else None
    for name, make in made.items():
        clock: Any = own if name == OURS else theirs
        before = (lambda: None) if name == OURS else partial(allow_tf32, torch, name.endswith(TF32))
        begin = partial(_begin, torch if name != OURS else None, make, clock, before)
        found = begin() if name == OURS else attempt(name, begin)
        if "error" in found:
            row["refused"][name] = found["error"]
            continue
        peers[name] = Peer([found["step"]], clock, before)
        for key in ("losses", "memory_bytes", "first_s"):
            row[key][name] = found[key]
    row["disagree"] = disagreements(row["losses"], net.rtol)
    return row | {"timings": {name: r.to_json() for name, r in race(peers, rounds, TURN).items()}}


def _begin(torch: Any | None, make: Callable[[], Any], clock: Any, before: Callable[[], Any]) -> Row:
    """A peer made, after its first steps."""
    before()
    free(torch)
    reserved = _reserved(torch)
    step = make()

    def first() -> Any:
        losses = step()
        clock.wait()
        return losses

    taken, losses = timed(first)
    for _ in range(2):
        step()
    clock.wait()
    losses = losses if isinstance(losses, tuple) else (losses,)
    return {"step": step, "first_s": taken, "losses": [float(loss) for loss in losses],
            "memory_bytes": _reserved(torch) - reserved}  # fmt: skip


def _reserved(torch: Any | None) -> int:
    """Bytes that a pool has taken from the card: CuPy's where no PyTorch is given. Neither gives any back by itself."""
    if torch is not None:
        return int(torch.cuda.memory_reserved())
    import cupy

    return int(cupy.get_default_memory_pool().total_bytes())


def disagreements(losses: dict[str, list[float]], rtol: tuple[float, ...]) -> dict[str, list[float]]:
    """The first losses of those whose net computes something else than ours."""
    found = {}
    for name, values in losses.items():
        allowed = [TF32_RTOL if name.endswith(TF32) else r for r in rtol]
        if not all(np.isclose(v, own, r, 0) for v, own, r in zip(values, losses[OURS], allowed, strict=True)):
            found[name] = values
    return found
