"""Residual GAN: generator and discriminator for images of 8x8, 28x28, 32x32 or 64x64 pixels.

Gulrajani et al. 2017 [gulrajani2017improved], "Improved training of Wasserstein GANs", section F; Miyato et al. 2018
[miyato2018spectral], "Spectral normalization for generative adversarial networks".

Each block doubles or halves the image, in its branch and in its shortcut. The shortcut has weights only where the
number of channels changes, so there is a route without nonlinearities for the gradient through both players.
"""

from __future__ import annotations

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import he_
from tinyres.models.critic import Critic, norm_layers, pyramid
from tinyres.models.stages import doubling

Rng = np.random.Generator | int | None


def generator(
    latent: int = 128, width: int = 64, channels: int = 3, *, size: int = 32, rng: Rng = None
) -> nn.Sequential:
    """G(z): noise (N, latent) to images (N, channels, size, size) with values in (-1, 1).

    At 64x64: a projection to 4x4 pixels with 8 width channels, residual blocks that double the image, 8 width ->
    8 width -> 4 width -> 2 width -> width, then BN, ReLU, a 3x3 convolution and tanh. Smaller images have fewer blocks.

    Args:
        latent: numbers in a noise vector.
        width: channels before the last layer.
        channels: of the image.
        size: of the image, height and width: 8, 28, 32 or 64.
        rng: what the weights are drawn from, He's N(0, gain² / fan_in), biases 0: a Generator or a seed.

    Raises:
        ValueError: there is no generator for this size.
    """
    rng = rng_of(rng)
    side, steps = pyramid("resgan", size)
    stages = doubling(width, steps)[::-1]
    inputs = stages[0]
    first = he_(nn.Linear(latent, inputs * side * side, rng=rng), "linear", rng=rng)
    blocks: list[nn.Module] = []
    for outputs in stages:
        blocks.append(up_block(inputs, outputs, rng))
        inputs = outputs
    end = [nn.BatchNorm2d(width), nn.ReLU(), _conv(width, channels, 3, "linear", rng), nn.Tanh()]
    return nn.Sequential(first, nn.Reshape(stages[0], side, side), *blocks, *end)


def discriminator(width: int = 64, channels: int = 3, *, size: int = 32, norm: str = "none", rng: Rng = None) -> Critic:
    """D(x): images (N, channels, size, size) to logits (N, 1).

    It mirrors the generator. At 64x64: a 3x3 convolution to `width` channels, residual blocks that halve the image,
    width -> 2 width -> 4 width -> 8 width -> 8 width, ReLU, and one linear unit over the remaining 4x4 pixels.

    Args:
        width: channels behind the first layer.
        channels: of the image.
        size: of the image, height and width: 8, 28, 32 or 64.
        norm: "none"; "layer", as WGAN-GP has it; "batch".
        rng: what the weights are drawn from, He's N(0, gain² / fan_in), biases 0: a Generator or a seed.

    Raises:
        ValueError: there is no discriminator for this size, or no such norm.
    """
    rng = rng_of(rng)
    side, steps = pyramid("resgan", size)
    stages = doubling(width, steps)
    inputs, pixels = width, size
    layers: list[nn.Module] = [_conv(channels, width, 3, "linear", rng)]
    for outputs in [*stages[1:], stages[-1]]:
        layers.append(down_block(inputs, outputs, pixels, norm, rng))
        inputs, pixels = outputs, pixels // 2
    layers += [*norm_layers(norm, inputs, side, side), nn.ReLU(), nn.Flatten()]
    head = he_(nn.Linear(inputs * side * side, 1, rng=rng), "linear", rng=rng)
    return Critic((channels, size, size), *layers, head)


def up_block(inputs: int, outputs: int, rng: np.random.Generator) -> nn.Residual:
    """BN - ReLU - doubling - conv - BN - ReLU - conv beside a doubling: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    branch = nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        _conv(inputs, outputs, 3, "relu", rng),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        _conv(outputs, outputs, 3, "relu", rng),
    )
    # A 1x1 convolution commutes with the repetition of pixels, and costs a quarter of it before.
    return nn.Residual(branch, shortcut=nn.Sequential(*_projection(inputs, outputs, rng), nn.Upsample(scale_factor=2)))


def down_block(inputs: int, outputs: int, size: int, norm: str, rng: np.random.Generator) -> nn.Residual:
    """norm - ReLU - conv - norm - ReLU - conv - halving beside a halving: (N, inputs, 2 H, 2 W) -> (N, outputs, H, W).

    Args:
        size: 2 H and 2 W, which layer norm needs.
    """
    branch = nn.Sequential(
        *norm_layers(norm, inputs, size, size),
        nn.ReLU(),
        _conv(inputs, inputs, 3, "relu", rng),
        *norm_layers(norm, inputs, size, size),
        nn.ReLU(),
        _conv(inputs, outputs, 3, "relu", rng),
        nn.AvgPool2d(2),
    )
    return nn.Residual(branch, shortcut=nn.Sequential(nn.AvgPool2d(2), *_projection(inputs, outputs, rng)))


def _projection(inputs: int, outputs: int, rng: np.random.Generator) -> list[nn.Module]:
    return [] if inputs == outputs else [_conv(inputs, outputs, 1, "linear", rng)]


def _conv(inputs: int, outputs: int, kernel_size: int, before: str, rng: np.random.Generator) -> nn.Conv2d:
    """A convolution that keeps the image's size, with He's initialisation for inputs after a ReLU (or "linear")."""
    return he_(nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, rng=rng), before, rng=rng)
