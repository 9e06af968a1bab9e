"""Fixup: a residual net without batch norm."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count
from tinyres.models.shortcuts import padded
from tinyres.models.stages import Block, conv3x3, doubling, in_stages
from tinyres.nn import init

CONVOLUTIONS = 2  # in a branch: the paper's m


def fixup(
    depth: int = 20, width: int = 16, *, in_channels: int = 3, classes: int = 10, rng: nn.init.Rng = None
) -> Classifier:
    """A residual net of 6 n + 2 layers without normalisation: block(x) = relu(F(x) + x), F small at initialisation.

    The three rules of Zhang et al. 2019 [zhang2019fixup], "Fixup initialization: residual learning without
    normalization", with L blocks and m = 2 convolutions in a branch:

    1. the last convolution of each branch and the linear layer start at 0;
    2. the first convolution of each branch starts from He's weights times L^(-1 / (2 m - 2));
    3. one learned number is added before each convolution, ReLU and linear layer (starting at 0), and one multiplies
       each branch (starting at 1).

    Then the amount by which a step of gradient descent changes the net's function does not depend on L.

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many. Where they change, x is padded.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    n = block_count(depth, 6, 2)
    rng = rng_of(rng)
    scale = (3 * n) ** (-1 / (2 * CONVOLUTIONS - 2))

    def block(channels: int, out_channels: int, stride: int) -> Block:
        first = conv3x3(channels, out_channels, stride, rng)
        first.weight.data = first.weight.data * np.float32(scale)
        last = conv3x3(out_channels, out_channels, 1, rng)
        init.zeros_(last.weight)
        before = nn.Shift(), first, nn.Shift(), nn.ReLU()
        branch = nn.Sequential(*before, nn.Shift(), last, nn.Scale(), nn.Shift())
        return Block(nn.Residual(branch, shortcut=padded(channels, out_channels, stride)))

    stem = nn.Sequential(conv3x3(in_channels, width, 1, rng), nn.Shift(), nn.ReLU())
    blocks = in_stages(width, doubling(width), [n] * 3, block)
    linear = nn.Linear(4 * width, classes, rng=rng)
    for parameter in linear.parameters():
        init.zeros_(parameter)
    return Classifier(stem, blocks, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Shift(), linear))
