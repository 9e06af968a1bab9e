"""The two players of a DCGAN for images of 32x32 pixels (Radford, Metz & Chintala 2016, "Unsupervised representation
learning with deep convolutional generative adversarial networks").

Strided convolutions instead of pools, batch norm everywhere but at the generator's output and the discriminator's
input, no hidden fully connected layer, and no bias, as in the authors' code. The paper draws images of 64x64 pixels:
here each player has one layer less.
"""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.nn import init


def generator(
    latent: int = 100, width: int = 64, channels: int = 3, *, rng: np.random.Generator | int | None = None
) -> nn.Sequential:
    """G(z): noise (N, latent) to images (N, channels, 32, 32) with values in (-1, 1).

    A projection to 4x4 pixels with 4 width channels, then transposed convolutions that double the image,
    4 width -> 2 width -> width -> channels. Each is followed by batch norm and ReLU, the last by tanh.

    Args:
        latent: numbers in a noise vector; the paper draws them from U(-1, 1), most others from N(0, 1).
        width: channels before the last layer.
        channels: of the image.
        rng: what the weights are drawn from, N(0, 0.02²), batch norm's N(1, 0.02²): a Generator or a seed.
    """
    layers = [nn.Linear(latent, 4 * width * 4 * 4, bias=False), nn.Reshape(4 * width, 4, 4)]
    layers += [nn.BatchNorm2d(4 * width), nn.ReLU()]
    for inputs in (4 * width, 2 * width):
        layers += [_up(inputs, inputs // 2), nn.BatchNorm2d(inputs // 2), nn.ReLU()]
    return _drawn(nn.Sequential(*layers, _up(width, channels), nn.Tanh()), rng)


def discriminator(width: int = 64, channels: int = 3, *, rng: np.random.Generator | int | None = None) -> nn.Sequential:
    """D(x): images (N, channels, 32, 32) to logits (N, 1); sigmoid(D(x)) is the probability that x is real.

    Convolutions that halve the image, channels -> width -> 2 width -> 4 width, each followed by LeakyReLU with slope
    0.2, the second and third with batch norm before it; what is left, 4x4 pixels, is flattened into one linear unit.

    Args:
        width: channels behind the first layer.
        channels: of the image.
        rng: what the weights are drawn from, N(0, 0.02²), batch norm's N(1, 0.02²): a Generator or a seed.
    """
    layers = [_down(channels, width), nn.LeakyReLU(0.2)]
    for outputs in (2 * width, 4 * width):
        layers += [_down(outputs // 2, outputs), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return _drawn(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * width * 4 * 4, 1, bias=False)), rng)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)  # (H, W) -> (2 H, 2 W)


def _down(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)  # (H, W) -> (H / 2, W / 2)


def _drawn(model: nn.Sequential, rng: np.random.Generator | int | None) -> nn.Sequential:
    rng = np.random.default_rng(rng)
    return model.apply(lambda module: init.dcgan_(module, rng=rng))
