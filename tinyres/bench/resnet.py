"""`tinyres bench resnet`: a full training step of ResNet-20 on 3x32x32 images, batch 128, float32.

Forward, backward and an SGD step with momentum; PyTorch in both memory formats and, on demand, compiled, on as many
threads as the kernels use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import models, optim
from tinyres.bench import peers, process, report
from tinyres.bench.agreement import disagreements
from tinyres.bench.convolutions import FORMATS
from tinyres.bench.device import to_torch
from tinyres.bench.report import Target
from tinyres.bench.timing import PAUSE, interleave, timed
from tinyres.ops import cross_entropy

DEPTH, BATCH = 20, 128
COMPILED = "torch.compile, channels last"
TARGETS = {"PyTorch": Target(0.9, 0.6), "torch.compile": Target(1.0, 0.7)}

Step = Callable[[], Any]  # gives the loss; nothing waits for it


@lru_cache(maxsize=256)  # every peer's are the same, and drawing a card's worth takes seconds
def problem(batch: int, seed: int = 0) -> tuple[Any, Any]:
    """Images (N, 3, 32, 32), channels last in memory, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((batch, 32, 32, 3)).astype(np.float32)
    return images.transpose(0, 3, 1, 2), rng.integers(0, 10, batch)


def ours(batch: int = BATCH, device: str = "cpu", sets: int = 1) -> Step:
    """A step that returns the loss; the batches are `sets` different ones, in turn."""
    batches = cycle([[tr.tensor(a).to(device) for a in problem(batch, seed)] for seed in range(sets)])
    model = models.resnet(DEPTH, rng=0).to(device)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> Any:
        images, labels = next(batches)
        model.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def pytorch(
    channels_last: bool, batch: int = BATCH, compiled: bool = False, device: str = "cpu", sets: int = 1
) -> Step:
    """The same net, built from the same weights; `compiled`: forward and backward by torch.compile."""
    import torch
    from torch.nn import functional

    layout = torch.channels_last if channels_last else torch.contiguous_format
    drawn = [[to_torch(torch, a, device) for a in problem(batch, seed)] for seed in range(sets)]
    batches = cycle([(images.contiguous(memory_format=layout), labels) for images, labels in drawn])
    state = models.resnet(DEPTH, rng=0).state_dict()
    values = {name: to_torch(torch, value.numpy().copy(), device) for name, value in state.items()}
    weights = {name: v.contiguous(memory_format=layout) if v.ndim == 4 else v for name, v in values.items()}
    learned = [v.requires_grad_() for name, v in weights.items() if name.endswith(("weight", "bias"))]
    optimizer = torch.optim.SGD(learned, lr=0.1, momentum=0.9)

    def normalised(h: Any, conv: str, norm: str, stride: int) -> Any:
        h = functional.conv2d(h, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        return functional.batch_norm(h, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"], True)

    def loss_of(images: Any, targets: Any) -> Any:
        h = torch.relu(normalised(images, "stem.0", "stem.1", 1))
        for k in range((DEPTH - 2) // 2):
            start = f"blocks.{k}.body.branch"
            extra = weights[f"{start}.0.weight"].shape[0] - h.shape[1]
            stride = 2 if extra else 1
            branch = torch.relu(normalised(h, f"{start}.0", f"{start}.1", stride))
            branch = normalised(branch, f"{start}.3", f"{start}.4", 1)
            skip = functional.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 0, extra)) if extra else h
            h = torch.relu(branch + skip)
        logits = functional.linear(h.mean((2, 3)), weights["head.2.weight"], weights["head.2.bias"])
        return functional.cross_entropy(logits, targets)

    forward = torch.compile(loss_of) if compiled else loss_of

    def step() -> Any:
        optimizer.zero_grad()
        loss = forward(*next(batches))
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.detach()

    return step


def main(rounds: int, json_file: Path | None, compiled: bool = False, memory: bool = True, batch: int = BATCH) -> int:
    """Measure, print the tables and verdicts, and say who is missing."""
    to, torch = report.console(), peers.load_torch()
    threads, missing = peers.pin_threads(torch), [] if torch else ["PyTorch"]
    found: dict[str, Step] = {"tinyres": ours(batch)}
    if torch is not None:
        found |= {name: pytorch(last, batch) for name, last in FORMATS.items()}
    if compiled and torch is not None:
        found[COMPILED] = pytorch(True, batch, compiled=True)
    losses: dict[str, float] = {}
    for name, step in list(found.items()):
        with to.status(f"{name}: first step ..."):
            try:
                taken, loss = timed(step)
                losses[name] = float(loss)
            except Exception as error:
                if name != COMPILED:
                    raise
                del found[name]  # most likely there is no C++ compiler here
                missing.append(f"torch.compile ({type(error).__name__}: {str(error).strip().splitlines()[0]})")
                continue
        to.print(f"{name}: first step {taken:.2f} s, not counted below")
    # The same net on the same images has the same loss.
    wrong = disagreements("loss", {name: np.float64(loss) for name, loss in losses.items()}, 1e-4)
    with report.progress(to, "steps", rounds + 3) as tick:
        times = interleave(found, rounds, pause=PAUSE, tick=tick)
    to.print(report.race(f"ResNet-{DEPTH}, batch {batch}, 3x32x32: a full training step", times))
    verdicts = report.against(times, TARGETS)
    document = {"threads": threads, "timings": {name: t.to_json() for name, t in times.items()}}
    if memory:
        measured, more = process.study(to, "resnet", batch, torch, threads)
        document, verdicts = {**document, **measured}, verdicts + more
    return report.conclude(to, verdicts, missing, document, json_file, wrong)
