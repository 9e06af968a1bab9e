"""Building blocks of the convolutional nets: layers, blocks, stages, and what depths are possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier, block_count
from tinyres.nn import init
from tinyres.nn.module import is_just

T = TypeVar("T")


# -- pieces -----------------------------------------------------------------------------------------------------------
def convolution(
    channels: int, out_channels: int, kernel_size: int, stride: int, rng: np.random.Generator, bias: bool = False
) -> nn.Conv2d:
    """A convolution that keeps the image's size (at stride 1), with He's initialisation by fan_out.

    By default it has no bias, since a batch norm after it would cancel one. A bias starts at 0.
    """
    padding = kernel_size // 2
    conv = nn.Conv2d(channels, out_channels, kernel_size, stride=stride, padding=padding, bias=bias, rng=rng)
    init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", rng=rng)
    if conv.bias is not None:
        init.zeros_(conv.bias)
    return conv


def conv3x3(channels: int, out_channels: int, stride: int, rng: np.random.Generator, bias: bool = False) -> nn.Conv2d:
    """A 3x3 `convolution`."""
    return convolution(channels, out_channels, 3, stride, rng, bias)


def conv1x1(channels: int, out_channels: int, stride: int, rng: np.random.Generator, bias: bool = False) -> nn.Conv2d:
    """A 1x1 `convolution`: the same linear map at every pixel."""
    return convolution(channels, out_channels, 1, stride, rng, bias)


def two_convolutions(channels: int, out_channels: int, stride: int, rng: np.random.Generator) -> nn.Sequential:
    """The basic branch: conv - BN - ReLU - conv - BN. The block adds its shortcut and a ReLU."""
    return nn.Sequential(
        conv3x3(channels, out_channels, stride, rng),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        conv3x3(out_channels, out_channels, 1, rng),
        nn.BatchNorm2d(out_channels),
    )


def pooled_head(channels: int, classes: int, rng: np.random.Generator, *before: nn.Module) -> nn.Sequential:
    """`before`, then global average pooling and a linear layer: (N, channels, H, W) to (N, classes)."""
    return nn.Sequential(*before, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes, rng=rng))


class Block(nn.Module):
    """activation(body(x)): a body of two convolutions in a plain net, of these plus a shortcut in a residual one."""

    def __init__(self, body: nn.Module) -> None:
        self.body = body
        self.activation: nn.Module = nn.ReLU()

    def forward(self, x: Any) -> Any:
        if is_just(self.activation, nn.ReLU):  # a batch norm at the body's end can be fused with it
            return nn.fused_add_relu(self.body, x, relu=True)
        return self.activation(self.body(x))


# -- nets -------------------------------------------------------------------------------------------------------------
class Stages(Classifier):
    """The frame of the nets of 6 n + 2 layers of He et al. 2016 [he2016deep]; `body` makes the inside of each block.

    A 3x3 stem, three stages of n blocks with `width`, 2 `width` and 4 `width` channels (the second and third halve the
    image), global average pooling and a linear layer. `body(channels, out_channels, stride, rng)` is called for each
    block; most have two 3x3 convolutions.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        in_channels: int,
        classes: int,
        body: Callable[[int, int, int, np.random.Generator], nn.Module],
        rng: init.Rng,
    ) -> None:
        n = block_count(depth, 6, 2)
        rng = rng_of(rng)
        stem = nn.Sequential(conv3x3(in_channels, width, 1, rng), nn.BatchNorm2d(width), nn.ReLU())
        blocks = in_stages(width, doubling(width), [n] * 3, lambda c, o, s: Block(body(c, o, s, rng)))
        super().__init__(stem, blocks, pooled_head(4 * width, classes, rng))


def in_stages(
    channels: int, outputs: Sequence[int], counts: Sequence[int], block: Callable[[int, int, int], nn.Module]
) -> nn.Sequential:
    """counts[s] blocks of outputs[s] channels for every stage s, in one Sequential.

    Args:
        channels: the input channels of the first block.
        block: (channels, out_channels, stride) -> a block. The first of each stage, except in stage 0, has stride 2.
    """
    blocks = []
    for stage, (out_channels, count) in enumerate(zip(outputs, counts, strict=True)):
        for index in range(count):
            blocks.append(block(channels, out_channels, 2 if stage > 0 and index == 0 else 1))
            channels = out_channels
    return nn.Sequential(*blocks)


def doubling(width: int, stages: int = 3) -> list[int]:
    """width, 2 width, 4 width, ...: as the image halves, the channels double."""
    return [width * 2**stage for stage in range(stages)]


# -- depths -----------------------------------------------------------------------------------------------------------
def of_depth(depth: int, known: Mapping[int, T]) -> T:
    """The entry for a depth in a paper's table.

    Raises:
        ValueError: there is none; the message names the nearest depth that has one.
    """
    if depth not in known:
        nearest = min(known, key=lambda other: abs(other - depth))
        among = ", ".join(map(str, known))
        raise ValueError(f"depth must be one of {among}, got {depth}; {nearest} is nearest")
    return known[depth]
