"""DCGAN: generator and discriminator for images of 8x8, 28x28, 32x32 or 64x64 pixels.

Radford et al. 2016 [radford2016unsupervised], "Unsupervised representation learning with deep convolutional generative
adversarial networks". It has strided convolutions instead of pools, batch norm everywhere except at the generator's
output and the discriminator's input, no hidden fully connected layer, and no biases, as in the authors' code. The paper
generates images of 64x64 pixels, at width 128; smaller images have one or two layers fewer.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import he_
from tinyres.models.critic import Critic, norm_layers, pyramid
from tinyres.models.stages import doubling
from tinyres.nn import init
from tinyres.nn.init import Rng

M = TypeVar("M", bound=nn.Module)


def generator(
    latent: int = 100,
    width: int = 64,
    channels: int = 3,
    *,
    size: int = 32,
    rng: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """G(z): noise (N, latent) to images (N, channels, size, size) with values in (-1, 1).

    At 32x32: a projection to 4x4 pixels with 4 width channels, then transposed convolutions that double the image,
    4 width -> 2 width -> width -> channels. Each is followed by batch norm and ReLU, the last by tanh. For 64x64 there
    is one more; for 8x8 and 28x28 one less, starting from 2x2 and 7x7 pixels.

    Args:
        latent: the length of a noise vector; the paper draws it from U(-1, 1), most others from N(0, 1).
        width: channels before the last layer.
        channels: of the image.
        size: of the image, height and width: 8, 28, 32 or 64.
        rng: what the weights are drawn from, N(0, 0.02²), batch norm's N(1, 0.02²): a Generator or a seed.

    Raises:
        ValueError: there is no generator for this size.
    """
    side, steps = pyramid("dcgan", size)
    *above, inputs = doubling(width, steps)
    layers: list[nn.Module] = [nn.Linear(latent, inputs * side * side, bias=False), nn.Reshape(inputs, side, side)]
    layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
    for outputs in reversed(above):
        layers += [up(2 * outputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
    return drawn(nn.Sequential(*layers, up(width, channels), nn.Tanh()), rng)


def discriminator(
    width: int = 64,
    channels: int = 3,
    *,
    size: int = 32,
    norm: str = "batch",
    rng: np.random.Generator | int | None = None,
) -> Critic:
    """D(x): images (N, channels, size, size) to logits (N, 1); sigmoid(D(x)) is the probability that x is real.

    Convolutions that halve the image, at 32x32 channels -> width -> 2 width -> 4 width, each followed by LeakyReLU with
    slope 0.2, all but the first with a norm before it; what is left, 4x4 pixels, is flattened into one linear unit.

    Args:
        width: channels behind the first layer.
        channels: of the image.
        size: of the image, height and width: 8, 28, 32 or 64.
        norm: "batch"; "layer", over all of a sample, as WGAN-GP has it; "none", and then every layer has a bias and
            He's weights, N(0, 2 / fan_in): 0.02 is a size for layers whose norm undoes it. Without one it left images
            of 8x8 pixels with a slope |dD/dx| of 0.002 at width 16, and the generator with as little.
        rng: what the weights are drawn from, N(0, 0.02²), batch norm's N(1, 0.02²): a Generator or a seed.

    Raises:
        ValueError: there is no discriminator for this size, or no such norm.
    """
    side, steps = pyramid("dcgan", size)
    layers = halving(channels, doubling(width, steps), size, norm)
    features = width * 2 ** (steps - 1) * side * side
    head = nn.Linear(features, 1, bias=norm == "none")
    return judging((channels, size, size), [*layers, nn.Flatten(), head], norm, rng)


def halving(channels: int, outputs: list[int], size: int, norm: str) -> list[nn.Module]:
    """Convolutions that halve an image, each followed by LeakyReLU and all but the first by a norm before that."""
    layers: list[nn.Module] = []
    for made in outputs:
        size //= 2
        layers.append(nn.Conv2d(channels, made, 4, stride=2, padding=1, bias=norm == "none"))  # (2 H, 2 W) -> (H, W)
        layers += [*(norm_layers(norm, made, size, size) if len(layers) > 1 else []), nn.LeakyReLU(0.2)]
        channels = made
    return layers


def judging(
    sample: tuple[int, ...], layers: list[nn.Module], norm: str, rng: np.random.Generator | int | None
) -> Critic:
    """A discriminator of these layers, with its weights drawn as its norm wants them."""
    critic = Critic(sample, *layers)
    if norm != "none":
        return drawn(critic, rng)
    rng = rng_of(rng)
    for layer in critic:
        if isinstance(layer, nn.Conv2d):
            he_(layer, rng=rng)
        elif isinstance(layer, nn.Linear):
            he_(layer, "linear", rng=rng)
    return critic


def up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """The transposed convolution that doubles an image: (N, inputs, H, W) -> (N, outputs, 2 H, 2 W)."""
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def drawn(model: M, rng: np.random.Generator | int | None) -> M:
    """Draw the weights of a model as in the paper, and return it."""
    rng = rng_of(rng)
    return model.apply(lambda module: dcgan_(module, rng=rng))


def dcgan_(module: nn.Module, *, rng: Rng = None) -> None:
    """For `model.apply`: weights from N(0, 0.02^2), batch norm weights from N(1, 0.02^2), biases 0.

    With a seed: `generator = np.random.default_rng(0); model.apply(lambda m: dcgan_(m, rng=generator))`.
    Radford et al. 2016 [radford2016unsupervised], "Unsupervised representation learning with deep convolutional
    generative adversarial networks", for the weights; that of batch norm is common practice since its implementations.
    """
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        mean = 0.0
    elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        mean = 1.0
    else:
        return
    if module.weight is not None:
        init.normal_(module.weight, mean, 0.02, rng=rng)
    if module.bias is not None:
        init.zeros_(module.bias)
