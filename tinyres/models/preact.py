"""Pre-activation ResNet."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count
from tinyres.models.shortcuts import padded
from tinyres.models.stages import conv1x1, conv3x3, doubling, in_stages, pooled_head


def preact(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    bottleneck: bool = False,
    rng: nn.init.Rng = None,
) -> Classifier:
    """A pre-activation residual net: block(x) = x + F(x), with BN and ReLU before each convolution in F.

    So x_L = x_l + sum of F_i(x_i), l <= i < L: between any two blocks there is a route without nonlinearities, and the
    gradient has the term dL/dx_L, which no weight multiplies (He et al. 2016 [he2016identity], "Identity mappings in
    deep residual networks", equation 5). Batch norm and ReLU follow the last block.

    Where the shape changes, basic blocks pad the identity with zeros. Bottleneck blocks project it, and there the first
    BN-ReLU stands before both routes, as in the authors' code.

    Parameters at width 16: 1,727,962 for the basic net of 110 layers, 1,703,258 with bottlenecks and 164; the paper's
    table 4 has 1.7 million for both. With 1001 layers it has 10.2 million, and this net 10,327,706: 10,178,490 in
    convolutions and the linear layer, 149,216 in batch norms. The paper does not say what it counts; that it leaves out
    batch norm is unchecked.

    Args:
        depth: 6 n + 2 layers with weights (8, 14, 20, ...) in basic blocks, 9 n + 2 (11, 20, 29, ...) in bottlenecks.
        width: channels of the first stage's 3x3 convolutions; the other stages have 2 and 4 times as many.
        bottleneck: three convolutions, 1x1, 3x3 and 1x1, a block, the last with 4 times the channels; else two 3x3.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    n = block_count(depth, 9 if bottleneck else 6, 2)
    rng = rng_of(rng)
    stem = conv3x3(in_channels, width, 1, rng)
    make, outputs = (_bottleneck, doubling(4 * width)) if bottleneck else (_basic, doubling(width))
    blocks = in_stages(width, outputs, [n] * 3, lambda c, o, s: make(c, o, s, rng))
    return Classifier(stem, blocks, pooled_head(outputs[-1], classes, rng, *_activated(outputs[-1])))


def _activated(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _basic(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Residual:
    branch = nn.Sequential(
        *_activated(channels),
        conv3x3(channels, out_channels, stride, rng),
        *_activated(out_channels),
        conv3x3(out_channels, out_channels, 1, rng),
    )
    return nn.Residual(branch, shortcut=padded(channels, out_channels, stride))


def _bottleneck(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Module:
    inside = out_channels // 4
    convolutions = (
        conv1x1(channels, inside, 1, rng),
        *_activated(inside),
        conv3x3(inside, inside, stride, rng),
        *_activated(inside),
        conv1x1(inside, out_channels, 1, rng),
    )
    if stride == 1 and channels == out_channels:
        return nn.Residual(nn.Sequential(*_activated(channels), *convolutions))
    shortcut = conv1x1(channels, out_channels, stride, rng)
    return nn.Sequential(*_activated(channels), nn.Residual(nn.Sequential(*convolutions), shortcut=shortcut))
