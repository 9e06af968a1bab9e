"""SE-ResNet for small images: squeeze-and-excitation."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.models.shortcuts import padded
from tinyres.models.stages import Stages, two_convolutions


def senet(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    reduction: int = 16,
    rng: nn.init.Rng = None,
) -> Stages:
    """The residual net of 6 n + 2 layers with gated branches: block(x) = relu(s * F(x) + x), one gate s per channel.

    The gates s in (0, 1) are those of `nn.SqueezeExcite` on F(x): they add 2 C² / reduction weights to the 18 C² of a
    block with C channels. (SE-ResNet-50 for ImageNet is `resnet_imagenet(50, reduction=16)`.)
    Hu et al. 2018 [hu2018squeeze], "Squeeze-and-excitation networks".

    Args:
        depth: 8, 14, 20, ... layers with weights, those of the gates not counted.
        width: channels of the first stage; the others have 2 and 4 times as many.
        reduction: channels divided by the hidden units of a gate.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """

    def body(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Residual:
        branch = two_convolutions(channels, out_channels, stride, rng)
        branch.append(nn.SqueezeExcite(out_channels, reduction, rng=rng))
        return nn.Residual(branch, shortcut=padded(channels, out_channels, stride))

    return Stages(depth, width, in_channels, classes, body, rng)
