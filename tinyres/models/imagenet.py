"""ResNet and SE-ResNet for ImageNet."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.bottleneck import EXPANSION, bottleneck
from tinyres.models.classifier import Classifier
from tinyres.models.shortcuts import projected
from tinyres.models.stages import Block, convolution, doubling, in_stages, of_depth, pooled_head
from tinyres.models.stages import two_convolutions as basic

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def imagenet_stem(in_channels: int, channels: int, rng: np.random.Generator) -> nn.Sequential:
    """7x7 conv - BN - ReLU - 3x3 max pool, both of stride 2: (N, in_channels, H, W) -> (N, channels, H / 4, W / 4)."""
    conv = convolution(in_channels, channels, 7, 2, rng)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))


def resnet_imagenet(
    depth: int = 50,
    width: int = 64,
    *,
    in_channels: int = 3,
    classes: int = 1000,
    reduction: int | None = None,
    rng: nn.init.Rng = None,
) -> Classifier:
    """ResNet for images of 224x224 pixels: block(x) = relu(F(x) + x), with a projection of x where the shape changes.

    Four stages follow a stem that leaves a sixteenth of the pixels. F is two 3x3 convolutions at depth 18 and 34, and a
    `bottleneck` at 50, 101 and 152. Parameters at width 64: 11.7, 21.8, 25.6, 44.5 and 60.2 million. Smaller images
    work, too: the head averages over all positions that are left. He et al. 2016 [he2016deep], "Deep residual learning
    for image recognition", table 1.

    Args:
        depth: 18, 34, 50, 101 or 152 layers with weights.
        width: channels of the first stage's 3x3 convolutions; the others have 2, 4 and 8 times as many.
        reduction: adds an `nn.SqueezeExcite` with this reduction to each branch, which makes it an SE-ResNet (16 in Hu
            et al. 2018 [hu2018squeeze]). None adds nothing.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    counts = of_depth(depth, BLOCKS)
    rng = rng_of(rng)
    branch, expansion = (bottleneck, EXPANSION) if depth >= 50 else (basic, 1)

    def block(channels: int, out_channels: int, stride: int) -> Block:
        body = branch(channels, out_channels, stride, rng)
        if reduction is not None:
            body.append(nn.SqueezeExcite(out_channels, reduction, rng=rng))
        return Block(nn.Residual(body, shortcut=projected(channels, out_channels, stride, rng)))

    stem = imagenet_stem(in_channels, width, rng)
    outputs = doubling(expansion * width, 4)
    return Classifier(stem, in_stages(width, outputs, counts, block), pooled_head(outputs[-1], classes, rng))
