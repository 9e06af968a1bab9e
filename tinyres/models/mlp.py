"""Fully connected nets on the pixels of an image, plain and residual."""

from __future__ import annotations

import math

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count, he_
from tinyres.nn import init


def mlp(
    depth: int = 8,
    width: int = 128,
    *,
    in_channels: int = 3,
    classes: int = 10,
    size: int = 8,
    residual: bool = False,
    weight_variance: float | None = None,
    bias_variance: float = 0.0,
    rng: np.random.Generator | int | None = None,
) -> Classifier:
    """A fully connected net: h_0 = relu(W x + b), then blocks, then a linear head; no normalisation anywhere.

    Plain: h <- relu(W h + b), depth = n + 2. Residual: h <- h + F(h) with F = Linear - ReLU - Linear, depth = 2 n + 2.
    n is the number of blocks, and depth counts the layers with weights.

    The initial weights are He's, N(0, 2/fan_in) before a ReLU and N(0, 1/fan_in) elsewhere, which gives F unit gain; or
    N(0, weight_variance / fan_in) everywhere, to move a net through the ordered and the chaotic phase (Poole et al.
    2016 [poole2016exponential], "Exponential expressivity in deep neural networks through transient chaos"; Schoenholz
    et al. 2017 [schoenholz2017deep], "Deep information propagation").

    Args:
        depth: 3, 4, 5, ... layers with weights; residual: 4, 6, 8, ...
        width: units in each hidden layer.
        size: of the images: height and width.
        residual: blocks with a skip connection.
        weight_variance: s_w² of the weights' N(0, s_w²/fan_in); None: He's.
        bias_variance: s_b² of the biases' N(0, s_b²).
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: the depth does not exist, or a variance is negative.
    """
    n = block_count(depth, 2 if residual else 1, 2)
    for name, value in (("weight_variance", weight_variance), ("bias_variance", bias_variance)):
        if value is not None and value < 0:
            raise ValueError(f"mlp: {name} must be at least 0, got {value}")
    rng = rng_of(rng)

    def linear(inputs: int, outputs: int, nonlinearity: str = "linear") -> nn.Linear:
        layer = he_(nn.Linear(inputs, outputs, rng=rng), nonlinearity, rng=rng)
        if weight_variance is not None:
            init.normal_(layer.weight, std=math.sqrt(weight_variance / inputs), rng=rng)
        if bias_variance and layer.bias is not None:
            init.normal_(layer.bias, std=math.sqrt(bias_variance), rng=rng)
        return layer

    def block() -> nn.Module:
        if residual:
            return nn.Residual(nn.Sequential(linear(width, width, "relu"), nn.ReLU(), linear(width, width)))
        return nn.Sequential(linear(width, width, "relu"), nn.ReLU())

    stem = nn.Sequential(nn.Flatten(), linear(in_channels * size * size, width, "relu"), nn.ReLU())
    blocks = nn.Sequential(*(block() for _ in range(n)))
    return Classifier(stem, blocks, linear(width, classes), (in_channels, size, size))
