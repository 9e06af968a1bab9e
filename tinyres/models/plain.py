"""The plain net: a ResNet without shortcuts."""

from __future__ import annotations

from tinyres import nn
from tinyres.models.stages import Stages, two_convolutions


def plain(
    depth: int = 20, width: int = 16, *, in_channels: int = 3, classes: int = 10, rng: nn.init.Rng = None
) -> Stages:
    """A plain convolutional net of 6 n + 2 layers: block(x) = relu(F(x)), F two 3x3 convolutions with batch norm.

    He et al. 2016 [he2016deep], "Deep residual learning for image recognition", section 4.2.

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth.
    """
    return Stages(depth, width, in_channels, classes, two_convolutions, rng)
