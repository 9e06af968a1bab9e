"""Fully connected GAN: generator and discriminator for points in the plane and other data without a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import block_count, he_
from tinyres.models.critic import Critic, norm_layers

Rng = np.random.Generator | int | None


def mlp_generator(latent: int = 2, width: int = 128, depth: int = 4, out: int = 2, *, rng: Rng = None) -> nn.Sequential:
    """G(z): noise (N, latent) to points (N, out), anywhere.

    It has depth - 1 times Linear - ReLU with `width` units, then a linear layer. There is no batch norm: where one
    sample goes should not depend on the others in its batch.

    Args:
        latent: numbers in a noise vector.
        width: units in each hidden layer.
        depth: layers with weights, at least 2.
        out: numbers in a sample.
        rng: what the weights are drawn from, He's N(0, gain² / fan_in), biases 0: a Generator or a seed.

    Raises:
        ValueError: the depth is less than 2.
    """
    return nn.Sequential(*_layers(latent, width, depth, out, "none", rng_of(rng), nn.ReLU))


def mlp_discriminator(
    width: int = 128, depth: int = 4, inputs: int = 2, *, norm: str = "none", rng: Rng = None
) -> Critic:
    """D(x): points (N, inputs) to logits (N, 1).

    depth - 1 times Linear - norm - LeakyReLU(0.2) with `width` units, then one linear unit.

    Args:
        width: units in each hidden layer.
        depth: layers with weights, at least 2.
        inputs: numbers in a sample.
        norm: "none", "layer" or "batch".
        rng: what the weights are drawn from, He's N(0, gain² / fan_in), biases 0: a Generator or a seed.

    Raises:
        ValueError: the depth is less than 2, or there is no such norm.
    """
    rng = rng_of(rng)
    return Critic((inputs,), *_layers(inputs, width, depth, 1, norm, rng, lambda: nn.LeakyReLU(0.2)))


def _layers(
    inputs: int,
    width: int,
    depth: int,
    outputs: int,
    norm: str,
    rng: np.random.Generator,
    activation: Callable[[], nn.Module],
) -> Iterator[nn.Module]:
    for _ in range(block_count(depth, 1, 1)):
        yield he_(nn.Linear(inputs, width, rng=rng), rng=rng)
        yield from norm_layers(norm, width)
        yield activation()
        inputs = width
    yield he_(nn.Linear(inputs, outputs, rng=rng), "linear", rng=rng)
