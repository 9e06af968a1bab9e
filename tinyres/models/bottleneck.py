"""The bottleneck: what a block of a deep ImageNet net computes before its shortcut and last ReLU."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.models.stages import conv1x1, conv3x3

EXPANSION = 4  # how many times the channels of its 3x3 convolution come out


def bottleneck(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """1x1 conv - BN - ReLU - 3x3 conv - BN - ReLU - 1x1 conv - BN: the 3x3 one on a quarter of the channels.

    For the price of two 3x3 convolutions with C channels, 18 C² weights, it carries 4 C channels: 17 C² weights (He et
    al. 2016 [he2016deep], figure 5). The stride is that of the 3x3 convolution, as in most code since; the paper gave
    it to the first 1x1, which then throws three quarters of the pixels away unseen. The number of parameters is the
    same.
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
