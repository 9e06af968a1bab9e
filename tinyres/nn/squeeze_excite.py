"""Squeeze-and-excitation: a learned gate for each channel."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.nn.activation import ReLU
from tinyres.nn.init import Rng
from tinyres.nn.layers import Linear
from tinyres.nn.module import Module


class SqueezeExcite(Module):
    """Multiply each channel by a gate in (0, 1) that depends on the means of all channels.

        y = x * s,    s = sigmoid(W2 relu(W1 mean(x) + b1) + b2),    mean over H and W

    Shapes: x and y (N, C, H, W), s (N, C, 1, 1), W1 (C / reduction, C), W2 (C, C / reduction). At zero W2 and b2 each
    gate is 1/2. Hu et al. 2018 [hu2018squeeze], "Squeeze-and-excitation networks".

    Args:
        channels: C.
        reduction: how many times fewer hidden units there are; one remains however few channels there are.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: reduction is less than 1, or x has another shape.
    """

    def __init__(self, channels: int, reduction: int = 16, *, rng: Rng = None) -> None:
        if reduction < 1:
            raise ValueError(f"SqueezeExcite: reduction must be at least 1, got {reduction}")
        hidden = max(channels // reduction, 1)
        self.channels = channels
        self.fc1 = Linear(channels, hidden, rng=rng)
        self.activation: Module = ReLU()
        self.fc2 = Linear(hidden, channels, rng=rng)

    def forward(self, x: Any) -> Any:
        if x.ndim != 4 or x.shape[1] != self.channels:
            raise ValueError(f"{self.label()}: x must have shape (N, {self.channels}, H, W), got {tuple(x.shape)}")
        s = ops.mean(x, axis=(2, 3))  # (N, C)
        s = ops.sigmoid(self.fc2(self.activation(self.fc1(s))))  # (N, C)
        return x * ops.reshape(s, (*s.shape, 1, 1))


__all__ = ["SqueezeExcite"]
