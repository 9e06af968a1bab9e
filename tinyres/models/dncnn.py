"""DnCNN: a denoising net that predicts the noise in an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import block_count
from tinyres.nn import init


class Denoiser(nn.Module):
    """x - noise(x) with noise(x) = head(blocks(stem(x))): one skip connection around the whole net.

    For instruments, the node of the difference has the roles ("skip", "branch").
    """

    def __init__(self, stem: nn.Module, blocks: nn.Sequential, head: nn.Module) -> None:
        self.stem, self.blocks, self.head = stem, blocks, head

    def noise(self, x: Any) -> Any:
        """The predicted noise: (N, C, H, W) -> (N, C, H, W)."""
        return self.head(self.blocks(self.stem(x)))

    def forward(self, x: Any) -> Any:
        y = x - self.noise(x)
        if getattr(y, "node", None) is not None:
            y.node.roles = ("skip", "branch")
        return y


def dncnn(
    depth: int = 17,
    width: int = 64,
    *,
    in_channels: int = 1,
    rng: np.random.Generator | int | None = None,
) -> Denoiser:
    """The denoiser y = x - R(x): conv - ReLU, then depth - 2 times conv - BN - ReLU, then conv; all of them 3x3.

    It is trained to return the clean image, so R(x) learns the noise. Biases, orthogonal weights and batch norm's eps
    are those of the authors' code: 556,096 parameters at depth 17, width 64 and one channel. So is the momentum:
    running statistics keep 0.95. (In a port to PyTorch, which defines momentum the other way round, they are almost
    those of the last batch.) Zhang et al. 2017 [zhang2017beyond], "Beyond a Gaussian denoiser".

    Args:
        depth: 3, 4, 5, ... convolutions; 17 in the paper for one noise level, 20 for unknown levels.
        width: channels between the first and the last convolution.
        in_channels: of the images: 1 for grey, 3 for colour.
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: the depth does not exist.
    """
    n = block_count(depth, 1, 2)
    rng = rng_of(rng)

    def conv(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
        layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias, rng=rng)
        init.orthogonal_(layer.weight, rng=rng)
        if layer.bias is not None:
            init.zeros_(layer.bias)
        return layer

    def block() -> nn.Sequential:
        return nn.Sequential(conv(width, width), nn.BatchNorm2d(width, eps=1e-4, momentum=0.05), nn.ReLU())

    stem = nn.Sequential(conv(in_channels, width, bias=True), nn.ReLU())
    return Denoiser(stem, nn.Sequential(*(block() for _ in range(n))), conv(width, in_channels))
