"""How good a classifier is."""

from __future__ import annotations

from typing import NamedTuple

import tinyres as tr
from tinyres import data, nn
from tinyres.ops.losses import cross_entropy


class Score(NamedTuple):
    """Mean cross-entropy in nats, and the share of right answers."""

    loss: float
    accuracy: float


def evaluate(model: nn.Module, dataset: data.Dataset, batch_size: int = 500) -> Score:
    """Loss and accuracy with running statistics and without dropout; each module is afterwards as it was before."""
    modes = [(module, module.training) for module in model.modules()]
    loss, right = 0.0, 0
    model.eval()
    try:
        with tr.no_grad():
            for x, target in data.DataLoader(dataset, batch_size):
                logits = model(x)
                loss += cross_entropy(logits, target).item() * len(target.data)
                right += int((logits.numpy().argmax(axis=1) == target.numpy()).sum())
    finally:
        for module, mode in modes:
            module.training = mode
    return Score(loss / len(dataset), right / len(dataset))
