"""`tinyres bench engine`: what an operation costs besides its arithmetic.

50 layers x @ w, then tanh, no bias, width 64, batch 32, float32: matrices so small that the tape is what one measures.
Every peer runs forward and backward and leaves a gradient for each of the 50 weights. Targets: at most 0.8 of eager
PyTorch at its faster thread count, at most 1.5 times NumPy written out by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.bench import report
from tinyres.bench.agreement import disagreements
from tinyres.bench.convolutions import AGREE
from tinyres.bench.report import Target
from tinyres.bench.timing import interleave

LAYERS, WIDTH, BATCH, BURST = 50, 64, 32, 10
TARGETS = {"PyTorch": Target(0.8), "NumPy by hand": Target(1.5)}

Peer = Callable[[], Any]


def problem() -> tuple[Any, list[Any]]:
    """The input and the weights."""
    rng = np.random.default_rng(0)
    weights = [(rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32) for _ in range(LAYERS)]
    return rng.standard_normal((BATCH, WIDTH)).astype(np.float32), weights


def by_hand() -> Peer:
    x, weights = problem()

    def step() -> list[Any]:
        states = [x]
        for w in weights:
            states.append(np.tanh(states[-1] @ w))
        g = np.ones_like(states[-1])
        gradients = []
        for w, before, after in zip(weights[::-1], states[-2::-1], states[:0:-1], strict=True):
            g = g * (1 - after * after)
            gradients.append(before.T @ g)
            g = g @ w.T
        return gradients[::-1]

    return step


def ours() -> Peer:
    x, weights = problem()
    leaves = [tr.tensor(w, requires_grad=True) for w in weights]

    def step() -> list[Any]:
        h: Any = x
        for w in leaves:
            h = tr.tanh(h @ w)
        h.sum().backward()
        gradients = [w.grad for w in leaves]
        for w in leaves:
            w.grad = None
        return gradients

    return step


def pytorch(threads: int) -> Peer:
    import torch

    x, weights = problem()
    start = torch.from_numpy(x)
    leaves = [torch.from_numpy(w).requires_grad_() for w in weights]

    def step() -> list[Any]:
        torch.set_num_threads(threads)
        h = start
        for w in leaves:
            h = torch.tanh(h @ w)
        torch.autograd.backward(h.sum())
        gradients = [w.grad for w in leaves]
        for w in leaves:
            w.grad = None
        return gradients

    return step


def hips_autograd() -> Peer:
    import autograd
    import autograd.numpy as anp

    x, weights = problem()

    def total(weights: list[Any]) -> Any:
        h = x
        for w in weights:
            h = anp.tanh(anp.dot(h, w))
        return anp.sum(h)

    gradient = autograd.grad(total)
    return lambda: gradient(weights)


def dezero() -> Peer:
    import dezero
    import dezero.functions

    x, weights = problem()
    leaves = [dezero.Variable(w) for w in weights]

    def step() -> list[Any]:
        h = dezero.Variable(x)
        for w in leaves:
            h = dezero.functions.tanh(dezero.functions.matmul(h, w))
        for w in leaves:
            w.cleargrad()
        dezero.functions.sum(h).backward()
        return [w.grad.data for w in leaves]

    return step


def peers() -> tuple[dict[str, Peer], list[str]]:
    """Who can be measured here, and who is missing."""
    found: dict[str, Peer] = {"NumPy by hand": by_hand(), "tinyres": ours()}
    missing = []
    makers: list[tuple[str, Callable[[], Peer]]] = [
        ("PyTorch, 1 thread", lambda: pytorch(1)),
        ("PyTorch, 2 threads", lambda: pytorch(2)),
        ("autograd", hips_autograd),
        ("DeZero", dezero),
    ]
    for name, make in makers:
        try:
            found[name] = make()
        except ImportError:
            missing.append(name)
    return found, missing


def main(rounds: int, json_file: Path | None) -> int:
    """Measure, print the table, and say who is missing."""
    found, missing = peers()
    reference = found["NumPy by hand"]()
    wrong = []
    for name, step in found.items():
        for layer, (a, b) in enumerate(zip(step(), reference, strict=True)):
            wrong += disagreements(f"gradient of layer {layer}", {"NumPy by hand": b, name: np.asarray(a)}, AGREE)
    title = f"{LAYERS} layers x @ w, tanh; width {WIDTH}, batch {BATCH}; forward + backward"
    times = interleave(found, rounds, BURST)
    to = report.console()
    to.print(report.race(title, times))
    document = {"timings": {name: t.to_json() for name, t in times.items()}}
    return report.conclude(to, report.against(times, TARGETS), missing, document, json_file, wrong)
