"""The convolutions on the card beside cuDNN, by way of PyTorch, and every one's error against float64.

Both sides allocate their results as they are used, from pools that recycle; of PyTorch's two memory formats the better
one counts. `tensor_core` is a further rung, where there is one: measured, not counted.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import kernels_for, to_device
from tinyres.bench import accuracy, convolutions
from tinyres.bench.agreement import gap
from tinyres.bench.convolutions import AGREE, FORMATS, PASSES, SHAPES, Arrays, Shape
from tinyres.bench.gpu.clocks import Clock, CupyClock, TorchClock, allow_tf32, free, load_torch
from tinyres.bench.gpu.parts import Row, attempt
from tinyres.bench.gpu.race import Peer, race, sets
from tinyres.bench.timing import Call

WIDE = tuple(Shape(32, c, 56, c, 3, 1) for c in (64, 128, 256))
POINTWISE = tuple(Shape(32, c, 56, c, 1, 1, 0) for c in (64, 128, 256))
FAMILIES = {"performance.md": SHAPES, "56x56": tuple(s for s in WIDE if s not in SHAPES), "1x1": POINTWISE}
OURS = "tinyres"
CORES = {f"{OURS}, tensor cores": {}, f"{OURS}, tensor cores, one product": {"products": 1}}
TF32 = ", TF32"
TF32_AGREE = 1e-2  # as AGREE, where factors have 10 bits


class Ready(NamedTuple):
    """A shape's inputs for all three passes. They are drawn once, and lie on the card in each layout in as many places
    as there are sets: a cache goes by places, whatever the numbers are. peers: by pass, then by name."""

    drawn: Arrays
    sets: int
    rung: str
    peers: dict[str, dict[str, Peer]]


def rows(rounds: int) -> Iterator[Row]:
    torch = load_torch()
    if torch is None:
        yield {"name": "cuDNN", "error": "not measured: PyTorch with CUDA is not installed"}
    for family, shapes in FAMILIES.items():
        for shape in shapes:
            made = attempt(str(shape), partial(_made, torch, shape))
            for which in PASSES:
                name = f"{shape} {which}"
                row = attempt(name, partial(measure, made["ready"], shape, which, rounds)) if "ready" in made else made
                yield row | {"name": name, "family": family, "shape": list(shape), "pass": which}
            del made
            free(torch)


def _made(torch: Any | None, shape: Shape) -> Row:
    return {"ready": ready(torch, shape)}


def ready(torch: Any | None, shape: Shape) -> Ready:
    """Everybody's inputs and calls. Ours and PyTorch's are on one card, each in its own memory."""
    drawn, many = convolutions.draw(shape), sets(shape.bytes)
    there = [Arrays(*(to_device(a, "cuda") for a in drawn)) for _ in range(many)]
    rung = kernels_for(there[0].x)
    found = _ours(rung, shape, there) | (_cudnn(torch, shape, drawn, many) if torch else {})
    peers = {which: {name: peers[which] for name, peers in found.items()} for which in PASSES}
    return Ready(drawn, many, rung.__name__, peers)


def measure(ready: Ready, shape: Shape, which: str, rounds: int) -> Row:
    """Times and errors of every peer; who disagrees with ours, by how much: such a row does not count."""
    peers = ready.peers[which]
    results, refused = _first_results(peers, which)
    row: Row = {"rung": ready.rung, "sets": ready.sets, "refused": refused}
    against = attempt("float64", partial(_errors, shape, which, ready.drawn, results))
    row |= {"errors": against["errors"]} if "errors" in against else {"no errors": against["error"]}
    row["disagree"] = _disagreements(results)
    del results
    times = race({name: peer for name, peer in peers.items() if name not in refused}, rounds)
    return row | {"flops": shape.flops, "timings": {name: r.to_json() for name, r in times.items()}}


def _ours(rung: Any, shape: Shape, there: list[Arrays]) -> dict[str, dict[str, Peer]]:
    triples = {OURS: rung}
    if importlib.util.find_spec("tinyres_kernels.cuda.tensor_core") and rung.__name__.endswith(".cuda"):
        cores = importlib.import_module("tinyres_kernels.cuda.tensor_core")
        for name, how in CORES.items():
            triples[name] = SimpleNamespace(**{
                op: partial(getattr(cores, op), **how) for op in ("conv2d", "conv2d_dx", "conv2d_dw")
            })  # fmt: skip
    clock = CupyClock()
    return {name: _by_pass([convolutions.ours(triple, shape, arrays) for arrays in there], clock)
            for name, triple in triples.items()}  # fmt: skip


def _cudnn(torch: Any, shape: Shape, drawn: Arrays, many: int) -> dict[str, dict[str, Peer]]:
    clock, peers = TorchClock(torch), {}
    for name, last in FORMATS.items():
        calls = [convolutions.pytorch(torch, shape, drawn, last, "cuda") for _ in range(many)]
        for tf32 in (False, True):
            peers[name + (TF32 if tf32 else "")] = _by_pass(calls, clock, partial(allow_tf32, torch, tf32))
    return peers


def _by_pass(calls: list[dict[str, Call]], clock: Clock, before: Call = lambda: None) -> dict[str, Peer]:
    """From a dictionary of passes for each set of inputs, a peer for each pass."""
    return {which: Peer([each[which] for each in calls], clock, before) for which in PASSES}


def _first_results(peers: dict[str, Peer], which: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What each peer makes of the first set; and of those but ours that raise, why."""
    results, refused = {}, {}
    for name, peer in peers.items():

        def call(name: str = name, peer: Peer = peer) -> Row:
            peer.before()
            found = peer.calls[0]()
            peer.clock.wait()
            return {"result": found if name.startswith(OURS) else convolutions.as_ours(which, found, "cuda")}

        came = call() if name == OURS else attempt(name, call)
        if "error" in came:
            refused[name] = came["error"]
        else:
            results[name] = came["result"]
    return results, refused


def _disagreements(results: dict[str, Any]) -> dict[str, float]:
    """Gaps to ours as shares of the largest number, where they are too large for rounding."""
    gaps = {name: gap(result, results[OURS]) for name, result in results.items()}
    rough = {name: TF32_AGREE if TF32 in name or "one product" in name else AGREE for name in gaps}
    return {name: gap for name, gap in gaps.items() if not gap <= rough[name]}


def _errors(shape: Shape, which: str, arrays: Arrays, results: dict[str, Any]) -> Row:
    """float32 against float64: `im2col` on the card, which is NumPy's formula and cuBLAS."""
    from tinyres_kernels import im2col

    wide = Arrays(*(to_device(a.astype(np.float64), "cuda") for a in arrays))
    truth = convolutions.ours(im2col, shape, wide)[which]()
    return {"errors": {name: accuracy.error(result, truth)._asdict() for name, result in results.items()}}
