"""Ours beside eager PyTorch with cuDNN: convolutions, what streams memory, training steps. The works are works.py's.

A row holds every peer's times twice: of the `device` alone, all of a turn queued before it begins, and as `called`, the
host's launches included. Both sides allocate their results as they are used, from pools that recycle.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinyres import arrays
from tinyres.bench import accuracy, convolutions, device, peers, steps, streams, works
from tinyres.bench.agreement import Disagreement, disagreements
from tinyres.bench.clocks import CudaClock
from tinyres.bench.convolutions import PASSES, Arrays, Shape
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.peers import TF32
from tinyres.bench.race import OURS, First, Peer, begin, once, race, said
from tinyres.bench.works import AGREE, TF32_AGREE, Net

SWEEP = 3  # times the cache that the inputs are to fill together
CORES = {f"{OURS}, tensor cores": {}, f"{OURS}, tensor cores, one product": {"products": 1}}  # measured, not counted
IMAGE_BYTES = 4 * 3 * 32 * 32
TURN = 0.15  # seconds of a turn of training steps as they are called: several, one behind the other


def rows(rounds: int, part: str) -> Iterator[Row]:
    torch = peers.load_torch("cuda")
    if part == "convolutions":
        yield from _convolutions(torch, rounds)
    elif part == "streams":
        for stream in streams.streams(**works.STREAMS["cuda"]):
            yield attempt(stream.name, partial(measure_stream, torch, stream, rounds))
            peers.free(torch)
    else:
        net = works.NETS[part]
        for batch in net.batches["cuda"]:
            yield {
                "batch": batch,
                **attempt(f"{part}, batch {batch}", partial(measure_step, torch, net, batch, rounds)),
            }
            peers.free(torch)


def sets(bytes_each: float) -> int:
    """How many sets of inputs of this size no cache can hold: `SWEEP` times the L2 cache, and two at least."""
    import cupy

    cache = int(cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice()).get("l2CacheSize", 0))
    return max(2, math.ceil(SWEEP * cache / bytes_each))


def timings(everyone: Mapping[str, Peer], first: First, rounds: int, turn: float | None = None) -> Row:
    """Of those that took part so far. first_s: of the first call, what it compiles and searches for included."""
    left = {name: peer for name, peer in everyone.items() if name in first.seconds}
    alone, called = race(left, CudaClock(held=True), rounds), race(left, CudaClock(), rounds, turn)
    return {name: {"first_s": first.seconds[name], "device": alone[name].to_json(), "called": called[name].to_json()}
            for name in left}  # fmt: skip


def by_name(wrong: list[Disagreement]) -> dict[str, float]:
    """Who disagrees with ours, and by how much: such a figure does not count."""
    return {pair.peers[0]: pair.gap for pair in wrong}


# -- convolutions ------------------------------------------------------------------------------------------------------
def _convolutions(torch: Any | None, rounds: int) -> Iterator[Row]:
    if torch is None:
        yield {"name": "cuDNN", "error": "not measured: PyTorch with CUDA is not installed"}
    for family, shapes in works.FAMILIES.items():
        for shape in shapes:
            made = attempt(str(shape), lambda shape=shape: {"ready": ready(torch, shape)})  # type: ignore[misc]
            for which in PASSES:
                name = f"{shape} {which}"
                row = attempt(name, partial(measure, made["ready"], shape, which, rounds)) if "ready" in made else made
                yield row | {"name": name, "family": family, "shape": list(shape), "pass": which}
            del made
            peers.free(torch)


class Ready(NamedTuple):
    """A shape's inputs on the host, what a row says of those on the card, and the peers by pass, then by name."""

    drawn: Arrays
    known: Row
    peers: dict[str, dict[str, Peer]]


def ready(torch: Any | None, shape: Shape) -> Ready:
    drawn, many = convolutions.draw(shape), sets(shape.bytes)
    rung = arrays.kernels_for(device.empty((1,), np.float32, "cuda"))
    everyone = convolutions.peers(torch, shape, drawn, {OURS: rung} | _cores(rung), "cuda", many)
    return Ready(drawn, {"rung": rung.__name__, "sets": many}, everyone)


def _cores(rung: Any) -> dict[str, Any]:
    """The convolutions on tensor cores, where there are any."""
    if not rung.__name__.endswith(".cuda") or not importlib.util.find_spec("tinyres_kernels.cuda.tensor_core"):
        return {}
    cores = importlib.import_module("tinyres_kernels.cuda.tensor_core")
    ops = ("conv2d", "conv2d_dx", "conv2d_dw")
    return {name: SimpleNamespace(**{op: partial(getattr(cores, op), **how) for op in ops})
            for name, how in CORES.items()}  # fmt: skip


def measure(ready: Ready, shape: Shape, which: str, rounds: int) -> Row:
    """Times and errors of every peer. PyTorch's that raise are told; ours has to run."""
    everyone = ready.peers[which]
    first = begin(everyone, CudaClock(), needed=[OURS])
    row: Row = {**ready.known, "refused": first.refused}
    row |= _errors(shape, which, ready.drawn, first.results)
    row["disagree"] = by_name(disagreements(f"{shape} {which}", first.results, _allowed))
    first.results.clear()  # which would stay on the card
    return row | {"flops": shape.flops, "timings": timings(everyone, first, rounds)}


def _allowed(name: str) -> float:
    return TF32_AGREE if TF32 in name or "one product" in name else AGREE


def _errors(shape: Shape, which: str, drawn: Arrays, results: Mapping[str, Any]) -> Row:
    found = attempt("float64", lambda: {"errors": accuracy.errors(shape, which, drawn, results, "cuda")})
    if "error" in found:
        return {"no errors": found["error"]}
    return {"errors": {name: error._asdict() for name, error in found["errors"].items()}}


# -- what streams memory -----------------------------------------------------------------------------------------------
def measure_stream(torch: Any | None, stream: streams.Stream, rounds: int) -> Row:
    """Times of ours and of PyTorch's two formats."""
    everyone = stream.peers(torch, "cuda", sets(stream.bytes))
    first = begin(everyone, CudaClock(), needed=everyone)
    return {"bytes": stream.bytes, "timings": timings(everyone, first, rounds),
            "disagree": by_name(disagreements(stream.name, first.results, AGREE))}  # fmt: skip


# -- training steps ----------------------------------------------------------------------------------------------------
def measure_step(torch: Any | None, net: Net, batch: int, rounds: int) -> Row:
    """Times, memory and first losses of every peer. Nobody waits for a loss. PyTorch's that raise are told.

    Memory is what a library's pool took from the card for three steps, cuDNN's search for algorithms included.
    """
    many, clock = sets(batch * IMAGE_BYTES), CudaClock()
    first, everyone, memory = First({}, {}, {}), {}, {}
    for name, make in steps.peers(net, torch, batch, "cuda", many).items():
        peers.free(torch)
        reserved = _reserved(torch, name)
        try:
            peer = make()
            first.results[name], first.seconds[name] = once(peer, clock)
        except Exception as error:
            if name == OURS:
                raise
            first.refused[name] = said(error)
            continue
        started = clock.start()
        for _ in range(2):
            peer.calls[0]()
        clock.stop(started)
        everyone[name], memory[name] = peer, _reserved(torch, name) - reserved
    wrong = {pair.peers[0] for pair in steps.disagreements(net, first.results)}
    return {
        "sets": many, "losses": first.results, "memory_bytes": memory, "first_s": first.seconds,
        "refused": first.refused, "disagree": {name: first.results[name] for name in first.results if name in wrong},
        "timings": timings(everyone, first, rounds, TURN),
    }  # fmt: skip


def _reserved(torch: Any | None, name: str) -> int:
    """Bytes that a pool has taken from the card: CuPy's for ours. Neither gives any back by itself."""
    if torch is not None and name != OURS:
        return int(torch.cuda.memory_reserved())
    import cupy

    return int(cupy.get_default_memory_pool().total_bytes())
