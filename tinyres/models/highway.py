"""Highway nets: gated skip connections, no normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count, he_
from tinyres.nn import init


def highway(
    depth: int = 19,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    gate_bias: float = -2.0,
    rng: np.random.Generator | int | None = None,
) -> Classifier:
    """A convolutional highway net in three stages: y = T H + (1 - T) x, H = relu(conv), T = sigmoid(conv).

    It has depth = 3 n + 4 layers: the stem, n highway layers in each stage, a plain convolution with stride 2 before
    the second and third stage (a highway layer cannot change the shape), and the linear head after global average
    pooling. A highway layer counts as one, although its gate has as many weights as its branch. Srivastava et al. 2015
    [srivastava2015training], "Training very deep networks".

    Args:
        depth: 7, 10, 13, ... layers; the paper's deep convolutional nets have 19 and 32.
        width: channels of the first stage; the others have 2 and 4 times as many.
        gate_bias: of every gate at first; negative, so that a net begins by carrying.
        rng: what the weights are drawn from: a Generator or a seed.
    """
    n = block_count(depth, 3, 4)
    rng = rng_of(rng)

    def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
        return he_(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, rng=rng), rng=rng)

    blocks = nn.Sequential()
    for stage in range(3):
        channels = width * 2**stage
        if stage:
            blocks.append(nn.Sequential(conv(channels // 2, channels, 2), nn.ReLU()))  # (H, W) -> (H / 2, W / 2)
        for _ in range(n):
            blocks.append(_gated(conv(channels, channels), conv(channels, channels), gate_bias))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), he_(nn.Linear(channels, classes), "linear", rng=rng))
    return Classifier(nn.Sequential(conv(in_channels, width), nn.ReLU()), blocks, head)


def highway_mlp(
    depth: int = 11,
    width: int = 50,
    *,
    in_channels: int = 3,
    classes: int = 10,
    size: int = 8,
    gate_bias: float = -2.0,
    rng: np.random.Generator | int | None = None,
) -> Classifier:
    """A fully connected highway net: a plain layer, n highway layers with H = relu(W x + b), a linear head.

    Srivastava et al. 2015 [srivastava2015training], "Training very deep networks".

    Args:
        depth: n + 2: 3, 4, 5, ... layers; the paper does not count the head and calls these 10, 20, 50 and 100 deep
            at n = 9, 19, 49 and 99.
        width: units in each hidden layer.
        size: of the images: height and width.
        gate_bias: of every gate at first.
        rng: what the weights are drawn from: a Generator or a seed.
    """
    n = block_count(depth, 1, 2)
    rng = rng_of(rng)

    def linear(inputs: int, outputs: int, nonlinearity: str = "relu") -> nn.Linear:
        return he_(nn.Linear(inputs, outputs, rng=rng), nonlinearity, rng=rng)

    stem = nn.Sequential(nn.Flatten(), linear(in_channels * size * size, width), nn.ReLU())
    blocks = nn.Sequential(*(_gated(linear(width, width), linear(width, width), gate_bias) for _ in range(n)))
    return Classifier(stem, blocks, linear(width, classes, "linear"), (in_channels, size, size))


def _gated(transform: Any, gate: Any, gate_bias: float) -> nn.Highway:
    init.constant_(gate.bias, gate_bias)
    return nn.Highway(nn.Sequential(transform, nn.ReLU()), gate)
