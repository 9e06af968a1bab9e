"""`tinyres bench resnet`: a full training step of ResNet-20 on 3x32x32 images, batch 128, float32.

Forward, backward and an SGD step with momentum; PyTorch in both memory formats, on as many threads as the kernels use.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import models, optim
from tinyres.bench.timing import interleave, show
from tinyres.ops import cross_entropy

DEPTH, BATCH = 20, 128
TARGETS = {"PyTorch": 0.9}


def problem() -> tuple[Any, Any]:
    """Images (N, 3, 32, 32), channels last in memory, and labels."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((BATCH, 32, 32, 3)).astype(np.float32)
    return images.transpose(0, 3, 1, 2), rng.integers(0, 10, BATCH)


def ours() -> Callable[[], float]:
    """A step that returns the loss."""
    x, labels = problem()
    images, model = tr.tensor(x), models.resnet(DEPTH, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step() -> float:
        model.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return step


def pytorch(channels_last: bool) -> Callable[[], float]:
    """The same net, built from the same weights."""
    import torch
    from torch.nn import functional

    x, labels = problem()
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images, targets = torch.from_numpy(x).to(memory_format=layout), torch.from_numpy(labels)
    state = models.resnet(DEPTH, rng=0).state_dict()
    values = {name: torch.from_numpy(value.numpy().copy()) for name, value in state.items()}
    weights = {name: v.contiguous(memory_format=layout) if v.ndim == 4 else v for name, v in values.items()}
    learned = [v.requires_grad_() for name, v in weights.items() if name.endswith(("weight", "bias"))]
    optimizer = torch.optim.SGD(learned, lr=0.1, momentum=0.9)

    def normalised(h: Any, conv: str, norm: str, stride: int) -> Any:
        h = functional.conv2d(h, weights[f"{conv}.weight"], stride=stride, padding=1)
        mean, var = weights[f"{norm}.running_mean"], weights[f"{norm}.running_var"]
        return functional.batch_norm(h, mean, var, weights[f"{norm}.weight"], weights[f"{norm}.bias"], True)

    def logits() -> Any:
        h = torch.relu(normalised(images, "stem.0", "stem.1", 1))
        for k in range((DEPTH - 2) // 2):
            start = f"blocks.{k}.body.branch"
            extra = weights[f"{start}.0.weight"].shape[0] - h.shape[1]
            stride = 2 if extra else 1
            branch = torch.relu(normalised(h, f"{start}.0", f"{start}.1", stride))
            branch = normalised(branch, f"{start}.3", f"{start}.4", 1)
            skip = functional.pad(h[:, :, ::2, ::2], (0, 0, 0, 0, 0, extra)) if extra else h
            h = torch.relu(branch + skip)
        return functional.linear(h.mean((2, 3)), weights["head.2.weight"], weights["head.2.bias"])

    def step() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(logits(), targets)
        torch.autograd.backward(loss)
        optimizer.step()
        return float(loss.detach())

    return step


def main(rounds: int, json_file: Path | None) -> int:
    """Measure, print the table, and say who is missing."""
    found, missing = {"tinyres": ours()}, []
    try:
        found |= {"PyTorch, channels last": pytorch(True), "PyTorch, channels first": pytorch(False)}
    except ImportError:
        missing.append("PyTorch")
    first = [step() for step in found.values()]  # the same net on the same images has the same loss
    np.testing.assert_allclose(first, first[0], rtol=1e-4)
    title = f"ResNet-{DEPTH}, batch {BATCH}, 3x32x32: a full training step"
    return show(title, interleave(found, rounds, 1), TARGETS, missing, json_file)
