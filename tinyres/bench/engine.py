"""`tinyres bench engine`: what an operation costs besides its arithmetic.

50 layers x @ w, then tanh, no bias, width 64, batch 32, float32: matrices so small that the tape is what one measures.
Every peer runs forward and backward and leaves a gradient for each of the 50 weights. Eager PyTorch counts at its
faster thread count.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.bench import report
from tinyres.bench.agreement import disagreements
from tinyres.bench.clocks import Call, HostClock
from tinyres.bench.peers import reason
from tinyres.bench.race import OURS, Peer, against, begin, race
from tinyres.bench.works import AGREE, ENGINE

LAYERS, WIDTH, BATCH = 50, 64, 32
TURN = 0.01  # seconds: some ten steps
BY_HAND = "NumPy by hand"
OTHERS = {"autograd": "autograd", "DeZero": "dezero"}  # peers that may not run with this NumPy, and their modules


def problem() -> tuple[Any, list[Any]]:
    """The input and the weights."""
    rng = np.random.default_rng(0)
    weights = [(rng.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32) for _ in range(LAYERS)]
    return rng.standard_normal((BATCH, WIDTH)).astype(np.float32), weights


def by_hand() -> Call:
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


def taped(x: Any, leaves: list[Any], tanh: Callable[..., Any]) -> Call:
    """By ours and by PyTorch, whose tensors have the same methods."""

    def step() -> list[Any]:
        h = x
        for w in leaves:
            h = tanh(h @ w)
        h.sum().backward()
        gradients = [w.grad for w in leaves]
        for w in leaves:
            w.grad = None
        return gradients

    return step


def ours() -> Call:
    x, weights = problem()
    return taped(x, [tr.tensor(w, requires_grad=True) for w in weights], tr.tanh)


def pytorch(threads: int) -> Call:
    import torch

    x, weights = problem()
    step = taped(torch.from_numpy(x), [torch.from_numpy(w).requires_grad_() for w in weights], torch.tanh)

    def with_threads() -> Any:
        torch.set_num_threads(threads)
        return step()

    return with_threads


def hips_autograd() -> Call:
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


def dezero() -> Call:
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
    """Who can be measured here, and who is missing: not installed, or installed and broken, with the reason."""
    makers: dict[str, Callable[[], Call]] = {
        BY_HAND: by_hand,
        OURS: ours,
        "PyTorch, 1 thread": lambda: pytorch(1),
        "PyTorch, 2 threads": lambda: pytorch(2),
        "autograd": hips_autograd,
        "DeZero": dezero,
    }
    found, missing = {}, []
    for name, make in makers.items():
        try:
            step = make()
            if name in OTHERS:
                step()
        except ModuleNotFoundError as error:
            installed = error.name != OTHERS.get(name, "torch")  # and something that it needs is not
            missing.append(f"{name} ({reason(error)})" if installed else name)
        except Exception as error:
            if name not in OTHERS:  # ours is to be mended, not left out
                raise
            missing.append(f"{name} ({reason(error)})")
        else:
            found[name] = Peer([step], read=lambda gradients: [np.asarray(g) for g in gradients])
    return found, missing


def main(rounds: int, json_file: Path | None) -> int:
    """Measure, print the table, and say who is missing."""
    found, missing = peers()
    clock = HostClock(pause=0)
    gradients = begin(found, clock, needed=found).results
    wrong = []
    for layer in range(LAYERS):
        of_layer = {name: each[layer] for name, each in gradients.items()}
        wrong += disagreements(f"gradient of layer {layer}", of_layer, AGREE)
    times = race(found, clock, rounds, TURN)
    to = report.console()
    to.print(report.race(f"{LAYERS} layers x @ w, tanh; width {WIDTH}, batch {BATCH}; forward + backward", times))
    return report.conclude(to, against(times, ENGINE), missing, {"timings": report.timings(times)}, json_file, wrong)
