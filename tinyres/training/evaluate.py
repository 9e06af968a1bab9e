"""Evaluate a model: loss and accuracy on a data set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinyres import data, nn
from tinyres.context import context, current, no_grad
from tinyres.ops.losses import cross_entropy
from tinyres.ops.ordering import argmax


class Score(NamedTuple):
    """The mean loss over the samples, and the share of right answers (NaN if there are no classes)."""

    loss: float
    accuracy: float


def evaluate(
    model: nn.Module,
    dataset: data.Dataset,
    *,
    loss: Callable[[Any, Any], Any] = cross_entropy,
    batch_size: int = 500,
) -> Score:
    """Loss and accuracy with running statistics and without dropout, unrecorded, and unseen by who
    watches the layers in training.

    Targets may be classes (N,), or one for each place, (N, ...), with outputs (N, ..., classes): then all places count.
    It runs where the model's parameters are. Each module is afterwards in the mode in which it was.
    `loss(outputs, targets)` is a mean over samples.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next((p.device for p in model.parameters()), "cpu")
    total, right, count = 0.0, 0, 0
    model.eval()
    others = tuple(o for o in current().observers if not o.watches_layers)
    try:
        with no_grad(), context(observers=others):
            for x, target in data.DataLoader(dataset, batch_size):
                y, target = by_place(model(x.to(device)), target.to(device), dataset.classes)
                total += loss(y, target).item() * len(target)
                count += len(target)
                if dataset.classes is not None:
                    right += (argmax(y, 1) == target).sum().item()
    finally:
        for module, mode in modes:
            module.training = mode
    return Score(total / count, right / count if dataset.classes is not None else np.nan)


def by_place(y: Any, target: Any, classes: int | None) -> tuple[Any, Any]:
    """Logits (N, ..., classes) and classes (N, ...) of sequences as (M, classes) and (M,), one row for each place."""
    if classes is None or target.ndim < 2 or y.shape[:-1] != target.shape:
        return y, target
    return y.reshape(-1, y.shape[-1]), target.reshape(-1)
