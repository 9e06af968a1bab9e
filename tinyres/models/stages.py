"""What the plain and the residual net of He et al. 2015 have in common: everything but the shortcut.

depth = 6 n + 2: a 3x3 stem, three stages of n blocks of two 3x3 convolutions with `width`, 2 `width` and 4 `width`
channels (the second and third halve the image), global average pooling and a linear layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.nn import init


def two_convolutions(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """conv - BN - ReLU - conv - BN: what a block computes before its shortcut and last ReLU."""
    return nn.Sequential(
        conv3x3(channels, out_channels, stride, rng),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        conv3x3(out_channels, out_channels, 1, rng),
        nn.BatchNorm2d(out_channels),
    )


def conv3x3(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Conv2d:
    """A 3x3 convolution with He's initialisation and no bias, which the batch norm behind it would undo."""
    conv = nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1, bias=False, rng=rng)
    init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", rng=rng)
    return conv


class Block(nn.Module):
    """ReLU of a body: of two convolutions in a plain net, of these plus a shortcut in a residual one."""

    def __init__(self, body: nn.Module) -> None:
        self.body = body

    def forward(self, x: Any) -> Any:
        return nn.followed(self.body, x, relu=True)


class Stages(nn.Module):
    """Stem, blocks and head; `body(channels, out_channels, stride, rng)` makes what stands inside each block."""

    def __init__(
        self,
        depth: int,
        width: int,
        in_channels: int,
        classes: int,
        body: Callable[[int, int, int, np.random.Generator], nn.Module],
        rng: np.random.Generator | int | None,
    ) -> None:
        if depth < 8 or (depth - 2) % 6:
            lower = max(8, depth - (depth - 2) % 6)
            raise ValueError(f"depth must be 6 n + 2 with n >= 1 (8, 14, 20, ...), got {depth}; {lower} is near")
        rng = np.random.default_rng(rng)
        self.stem = nn.Sequential(conv3x3(in_channels, width, 1, rng), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential()
        channels = width
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                self.blocks.append(Block(body(channels, width * 2**stage, stride, rng)))
                channels = width * 2**stage
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes, rng=rng))

    def forward(self, x: Any) -> Any:
        """Images (N, in_channels, H, W) to logits (N, classes)."""
        return self.head(self.blocks(self.stem(x)))
