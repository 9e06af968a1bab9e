"""R3GAN's players: plain residual nets without normalisation, for images of 8x8, 16x16, 28x28 or 32x32 pixels.

Huang et al. 2024 [huang2024gan], "The GAN is dead; long live the GAN! A modern GAN baseline". From the paper are the
block, a ResNeXt bottleneck that expands instead; the number of channels in a group; the two ends, a learned 4x4 image
times a linear map of the noise, and its mirror; the initialisation, which is Fixup's (Zhang et al. 2019
[zhang2019fixup]) without its extra scalars. Ours are the sizes, one width for all stages, and that images shrink by
means of 2x2 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.critic import Critic
from tinyres.nn import init

Rng = np.random.Generator | int | None

SIDES = {8: (4, 1), 16: (4, 2), 28: (7, 2), 32: (4, 3)}  # size: (side, steps), size = side 2**steps
SLOPE = 0.2  # of the leaky ReLU
EXPANSION = 2
GROUP = 8  # channels of the block for each group of its 3x3 convolution, which then reads EXPANSION times as many
LAYERS = 3  # with weights, in a branch


class Basis(nn.Module):
    """basis * (W z): a learned image (C, H, W), whose channels the noise z (N, latent) scales."""

    def __init__(self, latent: int, channels: int, side: int, *, rng: Rng = None) -> None:
        rng = rng_of(rng)
        self.basis = nn.Parameter(np.empty((channels, side, side), np.float32))
        init.normal_(self.basis, rng=rng)
        self.linear = _drawn(nn.Linear(latent, channels, bias=False, rng=rng), 1.0, rng)

    def forward(self, z: Any) -> Any:
        """Noise (N, latent) to images (N, C, H, W)."""
        scales = self.linear(z)  # (N, C)
        return self.basis * scales.reshape(*scales.shape, 1, 1)


def generator(
    latent: int = 64, width: int = 64, channels: int = 3, *, size: int = 32, blocks: int = 2, rng: Rng = None
) -> nn.Sequential:
    """G(z): noise (N, latent) to images (N, channels, size, size). No tanh: their values have no limits.

    A learned 4x4 image (7x7 for 28 pixels), `blocks` residual blocks, then doublings of the image by bilinear
    interpolation, each followed by as many blocks, and a 1x1 convolution.

    Args:
        latent: numbers in a noise vector.
        width: channels of all stages, a multiple of 8.
        channels: of the image.
        size: of the image, height and width: 8, 16, 28 or 32.
        blocks: in each stage.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no generator for this size, or the width does not fall into groups.
    """
    rng = rng_of(rng)
    side, steps = _pyramid(size, width)
    depth = blocks * (steps + 1)
    layers: list[nn.Module] = [Basis(latent, width, side, rng=rng)]
    for step in range(steps + 1):
        layers += [nn.Upsample(scale_factor=2, mode="bilinear")] if step else []
        layers += [block(width, depth, rng) for _ in range(blocks)]
    return nn.Sequential(*layers, _drawn(nn.Conv2d(width, channels, 1, bias=False, rng=rng), 1.0, rng))


def discriminator(
    width: int = 64, channels: int = 3, *, size: int = 32, blocks: int = 2, norm: str = "none", rng: Rng = None
) -> Critic:
    """D(x): images (N, channels, size, size) to logits (N, 1).

    It mirrors the generator: a 1x1 convolution, `blocks` residual blocks before each halving of the image and after the
    last, one weighted sum of each channel's 4x4 pixels, and a linear unit.

    Args:
        width: channels of all stages, a multiple of 8.
        channels: of the image.
        size: of the image, height and width: 8, 16, 28 or 32.
        blocks: in each stage.
        norm: "none", and nothing else.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no discriminator for this size, the width does not fall into groups, or there is a norm.
    """
    if norm != "none":
        raise ValueError(f"r3gan: the discriminator has no normalisation, so norm must be 'none', got {norm!r}")
    rng = rng_of(rng)
    side, steps = _pyramid(size, width)
    depth = blocks * (steps + 1)
    layers: list[nn.Module] = [_drawn(nn.Conv2d(channels, width, 1, bias=False, rng=rng), 1.0, rng)]
    for step in range(steps + 1):
        layers += [nn.AvgPool2d(2)] if step else []
        layers += [block(width, depth, rng) for _ in range(blocks)]
    sums = _drawn(nn.Conv2d(width, width, side, groups=width, bias=False, rng=rng), 1.0, rng)
    head = _drawn(nn.Linear(width, 1, bias=False, rng=rng), 1.0, rng)
    return Critic((channels, size, size), *layers, sums, nn.Flatten(), head)


def block(width: int, depth: int, rng: np.random.Generator) -> nn.Residual:
    """x + 1x1 (leaky ReLU (3x3 in groups (leaky ReLU (1x1 (x))))), (N, C, H, W) to the same; twice as wide inside.

    The last convolution starts at 0, so that a block starts as the identity. The others start from He's weights times
    depth^(-1/4): then a step of gradient descent moves the function of a net of `depth` blocks as far as that of one.
    """
    inner, gain = EXPANSION * width, init.calculate_gain("leaky_relu", SLOPE) * depth ** (-1 / (2 * LAYERS - 2))
    last = nn.Conv2d(inner, width, 1, bias=False, rng=rng)
    init.zeros_(last.weight)
    return nn.Residual(
        nn.Sequential(
            _drawn(nn.Conv2d(width, inner, 1, rng=rng), gain, rng),
            nn.LeakyReLU(SLOPE),
            _drawn(nn.Conv2d(inner, inner, 3, padding=1, groups=width // GROUP, rng=rng), gain, rng),
            nn.LeakyReLU(SLOPE),
            last,
        )
    )


def _drawn(layer: Any, gain: float, rng: np.random.Generator) -> Any:
    """The layer with weights N(0, gain² / fan_in) and biases 0."""
    init.normal_(layer.weight, std=gain / init.fans("r3gan", layer.weight)[0] ** 0.5, rng=rng)
    if layer.bias is not None:
        init.zeros_(layer.bias)
    return layer


def _pyramid(size: int, width: int) -> tuple[int, int]:
    if size not in SIDES:
        known = ", ".join(f"{s}x{s}" for s in SIDES)
        raise ValueError(f"r3gan: size must be that of images of {known} pixels, got size={size!r}")
    if width < 1 or width % GROUP:
        raise ValueError(f"r3gan: the 3x3 convolutions take {GROUP} channels per group, so width must be a multiple of "
                         f"{GROUP}, got {width}")  # fmt: skip
    return SIDES[size]
