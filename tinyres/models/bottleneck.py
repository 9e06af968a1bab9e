"""The bottleneck branch of deep ImageNet nets."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.models.stages import conv1x1, conv3x3

EXPANSION = 4  # output channels / channels of the 3x3 convolution


def bottleneck(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """1x1 conv - BN - ReLU - 3x3 conv - BN - ReLU - 1x1 conv - BN: the 3x3 one on a quarter of the channels.

    With 4 C channels it has 17 C² weights, about as many as two 3x3 convolutions with C channels, 18 C² (He et al. 2016
    [he2016deep], figure 5). The 3x3 convolution has the stride, as in most code since; the paper gave it to the first
    1x1 convolution, which then ignores three quarters of the pixels. The number of parameters is the same.
    """
    inside = out_channels // EXPANSION
    return nn.Sequential(
        conv1x1(channels, inside, 1, rng),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        conv3x3(inside, inside, stride, rng),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        conv1x1(inside, out_channels, 1, rng),
        nn.BatchNorm2d(out_channels),
    )
