"""A full training step of ResNet-20 on 3x32x32 images in float32: forward, backward and an SGD step with momentum.

Ours, and the same by PyTorch, in either memory format and, on demand, compiled. See steps.py for the race.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import cycle
from typing import Any

import numpy as np

from tinyres import models
from tinyres.bench import library
from tinyres.bench.library import Library
from tinyres.ops import cross_entropy

DEPTH = 20

Step = Callable[[], Any]  # gives the loss; nothing waits for it


@lru_cache(maxsize=256)  # every peer's are the same, and drawing a card's worth takes seconds
def problem(batch: int, seed: int = 0) -> tuple[Any, Any]:
    """Images (N, 3, 32, 32), channels last in memory, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((batch, 32, 32, 3)).astype(np.float32)
    return images.transpose(0, 3, 1, 2), rng.integers(0, 10, batch)


def ours(batch: int, device: str = "cpu", sets: int = 1) -> Step:
    """A step that returns the loss; the batches are `sets` different ones, in turn."""
    model = models.resnet(DEPTH, rng=0).to(device)

    def loss_of(images: Any, labels: Any) -> Any:
        return cross_entropy(model(images), labels)

    return _training(library.ours(device), loss_of, list(model.parameters()), batch, sets)


def _training(lib: Library, loss_of: Callable[..., Any], parameters: list[Any], batch: int, sets: int) -> Step:
    batches = cycle([[lib.put(a) for a in problem(batch, seed)] for seed in range(sets)])
    optimizer = lib.optim.SGD(parameters, lr=0.1, momentum=0.9)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(*next(batches))
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def pytorch(channels_last: bool, batch: int, compiled: bool = False, device: str = "cpu", sets: int = 1) -> Step:
    """The same net, built from the same weights; `compiled`: forward and backward by torch.compile."""
    import torch
    from torch.nn import functional

    lib = library.pytorch(channels_last, device)
    state = models.resnet(DEPTH, rng=0).state_dict()
    weights = {name: lib.put(value.numpy().copy()) for name, value in state.items()}
    learned = [v.requires_grad_() for name, v in weights.items() if name.endswith(("weight", "bias"))]

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

    return _training(lib, torch.compile(loss_of) if compiled else loss_of, learned, batch, sets)
