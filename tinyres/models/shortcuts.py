"""Shortcuts around blocks that change the shape.

The options A to C are those of He et al. 2016 [he2016deep]; the convolutional one is ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.models.stages import conv1x1, conv3x3
from tinyres.ops import pad


class PadShortcut(nn.Module):
    """Option A: take every stride-th pixel and fill new channels with zeros. It has no parameters.

    The zeros follow the old channels; with two_sided, half of them come before.
    """

    def __init__(self, channels: int, out_channels: int, stride: int, two_sided: bool = False) -> None:
        self.extra, self.stride = out_channels - channels, stride
        self.before = self.extra // 2 if two_sided else 0

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C + extra, ceil(H / stride), ceil(W / stride))."""
        return pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.extra - self.before))

    def extra_repr(self) -> str:
        return f"extra={self.extra}, stride={self.stride}" + (f", before={self.before}" if self.before else "")


def padded(channels: int, out_channels: int, stride: int, two_sided: bool = False) -> PadShortcut | None:
    """Option A if the shape changes; else None, which is the identity for `nn.Residual`."""
    return None if stride == 1 and channels == out_channels else PadShortcut(channels, out_channels, stride, two_sided)


def projection(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """A learned 1x1 convolution with batch norm. Option B has it where the shape changes, option C in every block."""
    return nn.Sequential(conv1x1(channels, out_channels, stride, rng), nn.BatchNorm2d(out_channels))


def convolutional(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """A learned 3x3 convolution with batch norm: then every route from input to output is convolved."""
    return nn.Sequential(conv3x3(channels, out_channels, stride, rng), nn.BatchNorm2d(out_channels))


def projected(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential | None:
    """Option B: a `projection` if the shape changes; else None, the identity."""
    return None if stride == 1 and channels == out_channels else projection(channels, out_channels, stride, rng)
