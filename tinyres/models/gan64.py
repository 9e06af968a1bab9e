"""GAN for images of 64x64 pixels, whose generator begins with fully connected layers.

A DCGAN maps its noise to 4x4 pixels at once, so one linear layer decides everything global. Here two fully connected
layers come first, and the first feature map has 8x8 pixels (compare the generators of InfoGAN, Chen et al. 2016
[chen2016infogan], appendix C).
"""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.models.critic import Critic
from tinyres.models.dcgan import drawn, halving, judging, up
from tinyres.models.stages import doubling

SIZE = 64


def generator(
    latent: int = 100,
    width: int = 32,
    channels: int = 3,
    *,
    hidden: int = 1024,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """G(z): noise (N, latent) to images (N, channels, 64, 64) with values in (-1, 1).

    latent -> hidden -> hidden -> 8x8 pixels with 4 width channels, then three transposed convolutions that double the
    image, 4 width -> 2 width -> width -> channels. Each layer is followed by batch norm and ReLU, the last by tanh.

    Args:
        latent: numbers in a noise vector.
        width: channels before the last layer.
        channels: of the image.
        hidden: units of the two fully connected layers.
        rng: what the weights are drawn from, as in `dcgan`: a Generator or a seed.
    """
    layers: list[nn.Module] = []
    for inputs in (latent, hidden):
        layers += [nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
    layers += [nn.Linear(hidden, 4 * width * 8 * 8, bias=False), nn.Reshape(4 * width, 8, 8)]
    layers += [nn.BatchNorm2d(4 * width), nn.ReLU()]
    for outputs in (2 * width, width):
        layers += [up(2 * outputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return drawn(nn.Sequential(*layers, up(width, channels), nn.Tanh()), rng)


def discriminator(
    width: int = 32, channels: int = 3, *, norm: str = "batch", rng: np.random.Generator | int | None = None
) -> Critic:
    """D(x): images (N, channels, 64, 64) to logits (N, 1).

    Four convolutions that halve the image, channels -> width -> 2 width -> 4 width -> 8 width, each followed by
    LeakyReLU with slope 0.2, all but the first with a norm before it; the 4x4 pixels that are left end in one logit.

    Args:
        width: channels behind the first layer.
        channels: of the image.
        norm: "batch", "layer" or "none", as in `dcgan`.
        rng: what the weights are drawn from, as in `dcgan`: a Generator or a seed.

    Raises:
        ValueError: there is no such norm.
    """
    layers = halving(channels, doubling(width, 4), SIZE, norm)
    head = nn.Linear(8 * width * 4 * 4, 1, bias=norm == "none")
    return judging((channels, SIZE, SIZE), [*layers, nn.Flatten(), head], norm, rng)
