"""The residual net (He et al. 2015, "Deep residual learning for image recognition", section 4.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.models.stages import Stages, two_convolutions
from tinyres.nn import init
from tinyres.ops import pad


class PadShortcut(nn.Module):
    """Option A: every stride-th pixel, new channels filled with zeros. It has no parameters."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        self.extra, self.stride = out_channels - channels, stride

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C + extra, ceil(H / stride), ceil(W / stride))."""
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    def extra_repr(self) -> str:
        return f"extra={self.extra}, stride={self.stride}"


def projection(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """Option B: a learned 1x1 convolution with batch norm."""
    conv = nn.Conv2d(channels, out_channels, 1, stride=stride, bias=False, rng=rng)
    init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", rng=rng)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels))


def resnet(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    shortcut: str = "A",
    rng: np.random.Generator | int | None = None,
) -> Stages:
    """A residual net of 6 n + 2 layers: block(x) = relu(F(x) + x), F two 3x3 convolutions with batch norm.

    Where a stage begins the shapes differ, and x goes through a shortcut instead. Parameters at width 16 with option A:
    0.27, 0.46, 0.66, 0.85, 1.7 million at depth 20, 32, 44, 56, 110 (table 6 of the paper).

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many.
        shortcut: "A" (subsample and pad with zeros) or "B" (1x1 convolution).
        rng: what the weights are drawn from: a Generator or a seed.
    """
    if shortcut not in ("A", "B"):
        raise ValueError(f"resnet: shortcut must be 'A' (padded) or 'B' (projection), got {shortcut!r}")

    def body(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Module:
        branch = two_convolutions(channels, out_channels, stride, rng)
        if stride == 1 and channels == out_channels:
            return nn.Residual(branch)
        if shortcut == "A":
            return nn.Residual(branch, PadShortcut(channels, out_channels, stride))
        return nn.Residual(branch, projection(channels, out_channels, stride, rng))

    return Stages(depth, width, in_channels, classes, body, rng)
