"""SkipInit: a residual net without batch norm."""

from __future__ import annotations

import math

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count
from tinyres.models.shortcuts import padded
from tinyres.models.stages import conv3x3, doubling, in_stages, pooled_head


def skipinit(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    alpha: float | str = 0.0,
    rng: nn.init.Rng = None,
) -> Classifier:
    """A residual net of 6 n + 2 layers without normalisation: block(x) = x + alpha F(x), one learned alpha per block.

    F is ReLU - 3x3 conv - ReLU - 3x3 conv with biases, in the order of `preact`; where the shape changes, x is padded
    with zeros. At alpha = 0 every block starts as the identity. Batch norm makes deep blocks nearly that: it scales the
    branch of block l to variance 1, while the sum it is added to has a variance of about l. Without normalisation, and
    with branches of unit gain, the variance grows by 1 + alpha² per block: 2^L at alpha = 1, below e at 1 / sqrt(L).
    De & Smith 2020 [de2020batch], "Batch normalization biases residual blocks towards the identity function in deep
    networks".

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many.
        alpha: what the numbers start from: a number, or "1/sqrt(L)", L the number of blocks.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no net of this depth; alpha is neither a number nor "1/sqrt(L)".
    """
    n = block_count(depth, 6, 2)
    rng = rng_of(rng)
    start = _start(alpha, 3 * n)

    def block(channels: int, out_channels: int, stride: int) -> nn.Residual:
        branch = nn.Sequential(
            nn.ReLU(),
            conv3x3(channels, out_channels, stride, rng, bias=True),
            nn.ReLU(),
            conv3x3(out_channels, out_channels, 1, rng, bias=True),
            nn.Scale(start),
        )
        return nn.Residual(branch, shortcut=padded(channels, out_channels, stride))

    stem = conv3x3(in_channels, width, 1, rng, bias=True)
    blocks = in_stages(width, doubling(width), [n] * 3, block)
    return Classifier(stem, blocks, pooled_head(4 * width, classes, rng, nn.ReLU()))


def _start(alpha: float | str, blocks: int) -> float:
    if not isinstance(alpha, str):
        return alpha
    if alpha != "1/sqrt(L)":
        raise ValueError(f"skipinit: alpha must be a number or '1/sqrt(L)', got {alpha!r}")
    return 1 / math.sqrt(blocks)
