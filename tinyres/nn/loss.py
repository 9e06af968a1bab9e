"""Losses as modules; the functions, with their equations, are in `tinyres.ops`."""

from __future__ import annotations

from typing import Any

from tinyres.nn.module import Module
from tinyres.ops import losses


class _Loss(Module):
    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """-log softmax(input)[target], from logits (N, C, ...) and class indices (N, ...)."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.cross_entropy(input, target, self.reduction)


class NLLLoss(_Loss):
    """-input[target], from log-probabilities (N, C, ...) and class indices (N, ...)."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.nll_loss(input, target, self.reduction)


class BCELoss(_Loss):
    """-(t log p + (1 - t) log(1 - p)), from probabilities p; logits go to BCEWithLogitsLoss."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """-(t log sigmoid(x) + (1 - t) log sigmoid(-x)), from logits x, without overflow."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.binary_cross_entropy_with_logits(input, target, self.reduction)


class MSELoss(_Loss):
    """(input - target)^2."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|input - target|."""

    def forward(self, input: Any, target: Any) -> Any:
        return losses.l1_loss(input, target, self.reduction)


__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "NLLLoss"]
