"""What leads around a block whose branch changes the shape.

The options A to C are those of He et al. 2016 [he2016deep]; the convolution is our own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.models.stages import conv1x1, conv3x3
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


def padded(channels: int, out_channels: int, stride: int) -> PadShortcut | None:
    """Option A where the shape changes; elsewhere the identity, for which `nn.Residual` takes None."""
    return None if stride == 1 and channels == out_channels else PadShortcut(channels, out_channels, stride)


def projection(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """A learned 1x1 convolution with batch norm: option B where the shape changes, option C in every block."""
    return nn.Sequential(conv1x1(channels, out_channels, stride, rng), nn.BatchNorm2d(out_channels))


def convolutional(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """A learned 3x3 convolution with batch norm: no route leads around the block unconvolved any more."""
    return nn.Sequential(conv3x3(channels, out_channels, stride, rng), nn.BatchNorm2d(out_channels))


def projected(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential | None:
    """Option B: a `projection` where the shape changes; elsewhere the identity."""
    return None if stride == 1 and channels == out_channels else projection(channels, out_channels, stride, rng)
