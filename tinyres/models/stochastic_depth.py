"""ResNet with stochastic depth."""

from __future__ import annotations

from itertools import count

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.shortcuts import padded
from tinyres.models.stages import Stages, two_convolutions


def stochastic_depth(
    depth: int = 20,
    width: int = 16,
    *,
    in_channels: int = 3,
    classes: int = 10,
    survival: float = 0.5,
    rng: nn.init.Rng = None,
) -> Stages:
    """The residual net of 6 n + 2 layers whose branches are skipped at random in training.

    block_l(x) = relu(b_l F(x) + x); b_l = 1 with probability p_l, drawn for each mini-batch, else 0; in evaluation
    b_l = p_l. Later blocks are skipped more often: p_l = 1 - l / L (1 - p_L), l = 1 .. L blocks. At p_L = 1/2 a net is
    (3 L - 1) / 4 blocks deep on average in training. Huang et al. 2016 [huang2016deep], "Deep networks with stochastic
    depth".

    Args:
        depth: 8, 14, 20, ... layers with weights.
        width: channels of the first stage; the others have 2 and 4 times as many. Where they change, x is padded.
        survival: p_L, the probability that the last branch is used; at 1 the net is `resnet`.
        rng: a Generator or a seed, for the weights and then for the choice of branches.

    Raises:
        ValueError: there is no net of this depth, or survival is not in [0, 1].
    """
    rng = rng_of(rng)
    number, last = count(1), (depth - 2) // 2

    def body(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.StochasticDepth:
        here = 1 - next(number) / last * (1 - survival)
        branch = two_convolutions(channels, out_channels, stride, rng)
        return nn.StochasticDepth(branch, shortcut=padded(channels, out_channels, stride), survival=here, rng=rng)

    return Stages(depth, width, in_channels, classes, body, rng)
