"""cnn: the small convolutional net of many MNIST tutorials."""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, he_


def cnn(
    depth: int = 4,
    width: int = 32,
    *,
    in_channels: int = 3,
    classes: int = 10,
    size: int = 8,
    dropout: float = 0.5,
    rng: np.random.Generator | int | None = None,
) -> Classifier:
    """conv - pool - conv - pool - fc - dropout - fc, with a ReLU after each layer but the last.

    The 5x5 convolutions have `width` and 2 `width` channels and keep the size; pools are 2x2 max pools; there are
    32 `width` hidden units. At width 32, one channel and 28x28 pixels it has 3,274,634 parameters. It descends from
    LeNet-5: LeCun et al. 1998 [lecun1998gradient], "Gradient-based learning applied to document recognition".

    Args:
        depth: 4, the only one.
        width: channels of the first convolution.
        size: of the images: height and width, at least 4.
        dropout: the probability that a hidden unit is dropped in training.
        rng: a Generator or a seed, for the weights and then for dropout.

    Raises:
        ValueError: the depth is not 4, or the images are too small for two pools.
    """
    if depth != 4:
        raise ValueError(
            f"cnn: depth must be 4 (two convolutions, two linear layers), got {depth}; plain and resnet go deeper"
        )
    if size < 4:
        raise ValueError(f"cnn: size must be at least 4, since two pools halve the image, got {size}")
    rng = rng_of(rng)

    def pooled(inputs: int, outputs: int) -> nn.Sequential:
        conv = he_(nn.Conv2d(inputs, outputs, 5, padding=2, rng=rng), rng=rng)
        return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2))  # (H, W) -> (H // 2, W // 2)

    stem = pooled(in_channels, width)
    features = 2 * width * (size // 4) ** 2
    hidden = nn.Sequential(nn.Flatten(), he_(nn.Linear(features, 32 * width, rng=rng), rng=rng), nn.ReLU())
    blocks = nn.Sequential(pooled(width, 2 * width), hidden)
    head = nn.Sequential(nn.Dropout(dropout, rng=rng), he_(nn.Linear(32 * width, classes, rng=rng), "linear", rng=rng))
    return Classifier(stem, blocks, head, (in_channels, size, size))
