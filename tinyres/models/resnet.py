"""ResNet for small images, with a choice of shortcuts."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.models.shortcuts import convolutional, padded, projected, projection
from tinyres.models.stages import Stages, two_convolutions

SHORTCUTS = {
    "A": lambda channels, out_channels, stride, rng: padded(channels, out_channels, stride),
    "B": projected,
    "C": projection,
    "conv": convolutional,
}


def resnet(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    shortcut: str = "A",
    two_sided: bool = False,
    rng: nn.init.Rng = None,
) -> Stages:
    """A residual net of 6 n + 2 layers: block(x) = relu(F(x) + x), F two 3x3 convolutions with batch norm.

    At the beginning of a stage the shape changes, so x passes a shortcut there. Parameters at width 16 with option A:
    0.27, 0.46, 0.66, 0.85, 1.7 million at depth 20, 32, 44, 56, 110 (table 6 of the paper: He et al. 2016
    [he2016deep], "Deep residual learning for image recognition").

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many.
        shortcut: "A", identities, padded with zeros where the shape changes; "B", projections (1x1 convolutions) there;
            "C", projections in every block (table 3 of the paper; of He et al. 2016 [he2016identity], "Identity
            mappings in deep residual networks", section 3.1, we know that at depth 110 they are worse than the
            identity); "conv", a 3x3 convolution in every block: the limit of a shortcut that is none.
        two_sided: of option A: half of the zeros come before the old channels, as in the CIFAR nets that are widespread
            in PyTorch, and not all behind them. Weights of the one are of no use to the other.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth, or no such shortcut, or two_sided is asked of another than "A".
    """
    if shortcut not in SHORTCUTS:
        raise ValueError(
            "resnet: shortcut must be 'A' (padded), 'B' (projections where the shape changes), 'C' (projections "
            f"everywhere) or 'conv' (3x3 convolutions everywhere), got {shortcut!r}"
        )
    if two_sided and shortcut != "A":
        raise ValueError(f"resnet: two_sided says where the zeros of shortcut 'A' come, and {shortcut!r} has none")

    def body(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Residual:
        branch = two_convolutions(channels, out_channels, stride, rng)
        if two_sided:
            return nn.Residual(branch, shortcut=padded(channels, out_channels, stride, two_sided=True))
        return nn.Residual(branch, shortcut=SHORTCUTS[shortcut](channels, out_channels, stride, rng))

    return Stages(depth, width, in_channels, classes, body, rng)
