"""DenseNet: densely connected convolutional nets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count
from tinyres.models.imagenet import imagenet_stem
from tinyres.models.stages import conv1x1, conv3x3, of_depth, pooled_head
from tinyres.ops import concatenate

BLOCKS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


class DenseLayer(nn.Module):
    """y = [x, F(x)]: append k new features to the existing ones.

    So every later layer reads x itself, not a sum that contains x, and each sends a gradient straight to x.
    """

    def __init__(self, branch: nn.Module) -> None:
        self.branch = branch

    def forward(self, x: Any) -> Any:
        return concatenate([x, self.branch(x)], 1)  # (N, C, H, W) -> (N, C + k, H, W)


def densenet(
    depth: int = 40,
    width: int = 12,
    *,
    in_channels: int = 3,
    classes: int = 10,
    bottleneck: bool = False,
    rng: nn.init.Rng = None,
) -> Classifier:
    """A DenseNet of three dense blocks for small images: each layer appends `width` features to all before it.

    F is BN - ReLU - 3x3 conv. With bottlenecks (DenseNet-BC), BN - ReLU - 1x1 conv to 4 `width` channels comes before
    it, and the transitions between dense blocks (BN - ReLU - 1x1 conv - 2x2 mean) halve the channels. Parameters: 1.0
    million at depth 40 and growth 12; BC: 0.8 at 100 and 12, 15.3 at 250 and 24, 25.6 at 190 and 40 (Huang et al. 2017
    [huang2017densely], "Densely connected convolutional networks", table 2).

    `blocks` lists layers and transitions in sequence, so that instruments see each layer. Memory: the output of a layer
    is a new array with all features so far, and batch norm makes another of that size. So a dense block of n layers
    saves O(n²) features for the backward pass, although only O(n) are distinct. (`tinyres.checkpoint` avoids it.)

    Args:
        depth: 3 n + 4 layers with weights (7, 10, 13, ...), with bottlenecks 6 n + 4 (10, 16, 22, ...).
        width: the growth rate k. (The stem has 16 channels, with bottlenecks 2 k.)
        bottleneck: DenseNet-BC.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    n = block_count(depth, 6 if bottleneck else 3, 4)
    rng = rng_of(rng)
    channels = 2 * width if bottleneck else 16
    stem = conv3x3(in_channels, channels, 1, rng)
    return _dense(stem, channels, [n] * 3, width, bottleneck, classes, rng)


def densenet_imagenet(
    depth: int = 121, width: int = 32, *, in_channels: int = 3, classes: int = 1000, rng: nn.init.Rng = None
) -> Classifier:
    """DenseNet-BC in four dense blocks for images of 224x224 pixels, at least 32x32: five halvings.

    Parameters at growth 32: 8.0 million at depth 121, 14.1 at 169, 20.0 at 201; at growth 48: 28.7 at depth 161.

    Args:
        depth: 121, 161, 169 or 201 layers with weights (Huang et al. 2017 [huang2017densely], table 1).
        width: the growth rate k; the stem has 2 k channels.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    counts = of_depth(depth, BLOCKS)
    rng = rng_of(rng)
    return _dense(imagenet_stem(in_channels, 2 * width, rng), 2 * width, counts, width, True, classes, rng)


def _dense(
    stem: nn.Module,
    channels: int,
    counts: Sequence[int],
    growth: int,
    bottleneck: bool,
    classes: int,
    rng: np.random.Generator,
) -> Classifier:
    blocks: list[nn.Module] = []
    for stage, count in enumerate(counts):
        if stage > 0:
            kept = channels // 2 if bottleneck else channels
            convolved = *_activated(channels), conv1x1(channels, kept, 1, rng)
            blocks.append(nn.Sequential(*convolved, nn.AvgPool2d(2)))  # (N, C, H, W) -> (N, kept, H / 2, W / 2)
            channels = kept
        for _ in range(count):
            blocks.append(DenseLayer(_branch(channels, growth, bottleneck, rng)))
            channels += growth
    return Classifier(stem, nn.Sequential(*blocks), pooled_head(channels, classes, rng, *_activated(channels)))


def _branch(channels: int, growth: int, bottleneck: bool, rng: np.random.Generator) -> nn.Sequential:
    branch = nn.Sequential()
    if bottleneck:
        branch = nn.Sequential(*_activated(channels), conv1x1(channels, 4 * growth, 1, rng))
        channels = 4 * growth
    for module in (*_activated(channels), conv3x3(channels, growth, 1, rng)):
        branch.append(module)
    return branch


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()
