"""PLAYERS: pairs of generator and discriminator by name, made for a given shape of samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tinyres import nn
from tinyres.models import dcgan, gan64, r3gan, resgan
from tinyres.models.critic import Critic
from tinyres.models.mlp_players import mlp_discriminator, mlp_generator
from tinyres.nn.init import Rng

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Players:
    """How an architecture makes its two players; both are called with the same arguments.

        generator(latent, width, shape, norm, rng), discriminator(latent, width, shape, norm, rng)

    latent: length of a noise vector. width: channels next to the image, or hidden units. shape: of one sample, (C, H,
    W) with values in (-1, 1), or (D,). norm: of the discriminator, "batch", "layer" or "none"; generators of images
    have batch norm and end in tanh, but for r3gan's. rng: a Generator or a seed; pass the same Generator to both for
    one reproducible pair.

    Raises:
        ValueError: the architecture does not exist for this shape, or there is no such norm.
    """

    generator: Callable[[int, int, Shape, str, Rng], nn.Sequential]
    discriminator: Callable[[int, int, Shape, str, Rng], Critic]


def _mlp_generator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> nn.Sequential:
    generator = mlp_generator(latent, width, out=math.prod(shape), rng=rng)
    return generator if len(shape) == 1 else nn.Sequential(*generator, nn.Tanh(), nn.Reshape(*shape))


def _mlp_discriminator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> Critic:
    discriminator = mlp_discriminator(width, inputs=math.prod(shape), norm=norm, rng=rng)
    return discriminator if len(shape) == 1 else Critic(shape, nn.Flatten(), *discriminator)


def _dcgan_generator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> nn.Sequential:
    channels, size = _square("dcgan", shape)
    return dcgan.generator(latent, width, channels, size=size, rng=rng)


def _dcgan_discriminator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> Critic:
    channels, size = _square("dcgan", shape)
    return dcgan.discriminator(width, channels, size=size, norm=norm, rng=rng)


def _gan64_generator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> nn.Sequential:
    return gan64.generator(latent, width, _square("gan64", shape, gan64.SIZE)[0], rng=rng)


def _gan64_discriminator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> Critic:
    return gan64.discriminator(width, _square("gan64", shape, gan64.SIZE)[0], norm=norm, rng=rng)


def _resgan_generator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> nn.Sequential:
    channels, size = _square("resgan", shape)
    return resgan.generator(latent, width, channels, size=size, rng=rng)


def _resgan_discriminator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> Critic:
    channels, size = _square("resgan", shape)
    return resgan.discriminator(width, channels, size=size, norm=norm, rng=rng)


def _r3gan_generator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> nn.Sequential:
    channels, size = _square("r3gan", shape)
    return r3gan.generator(latent, width, channels, size=size, rng=rng)


def _r3gan_discriminator(latent: int, width: int, shape: Shape, norm: str, rng: Rng) -> Critic:
    channels, size = _square("r3gan", shape)
    return r3gan.discriminator(width, channels, size=size, norm=norm, rng=rng)


def _square(player: str, shape: Shape, size: int | None = None) -> tuple[int, int]:
    """(channels, size) of square images."""
    if len(shape) != 3 or shape[1] != shape[2] or size not in (None, shape[-1]):
        needed = "(C, H, H), square images" if size is None else f"(C, {size}, {size})"
        raise ValueError(f"{player}: samples must have shape {needed}, got {shape}; the players 'mlp' take any shape")
    return shape[0], shape[1]


PLAYERS = {
    "mlp": Players(_mlp_generator, _mlp_discriminator),
    "dcgan": Players(_dcgan_generator, _dcgan_discriminator),
    "gan64": Players(_gan64_generator, _gan64_discriminator),
    "resgan": Players(_resgan_generator, _resgan_discriminator),
    "r3gan": Players(_r3gan_generator, _r3gan_discriminator),
}
