"""Classifier, the common form of all classifiers: a stem, blocks and a head."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from tinyres import nn
from tinyres.nn import init

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class Classifier(nn.Module):
    """head(blocks(stem(x))); the children of `blocks` are what instruments watch.

    Args:
        image: the shape (C, H, W) that images must have; None for any.
    """

    def __init__(
        self, stem: nn.Module, blocks: nn.Sequential, head: nn.Module, image: tuple[int, int, int] | None = None
    ) -> None:
        self.stem, self.blocks, self.head, self.image = stem, blocks, head, image

    def forward(self, x: Any) -> Any:
        """Images (N, C, H, W) to logits (N, classes)."""
        if self.image is not None and tuple(x.shape[1:]) != self.image:
            c, h, _ = self.image
            raise ValueError(
                f"{self.label()}: needs images of shape (N, {c}, {h}, {h}), got {tuple(x.shape)}; "
                "make the model with the in_channels and size of the images"
            )
        return self.head(self.blocks(self.stem(x)))


def he_(layer: Layer, nonlinearity: str = "relu", *, rng: np.random.Generator) -> Layer:
    """He initialisation of a layer: N(0, gain²/fan_in), gain² = 2 before a ReLU, 1 for "linear"; biases 0."""
    init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity, rng=rng)
    if layer.bias is not None:
        init.zeros_(layer.bias)
    return layer


def block_count(depth: int, layers: int, besides: int) -> int:
    """The number n of blocks in a net of depth = layers n + besides.

    Raises:
        ValueError: there is no such n >= 1; the message names the nearest possible depth.
    """
    n, rest = divmod(depth - besides, layers)
    if n < 1 or rest:
        nearest = layers * max(1, (depth - besides + (layers - 1) // 2) // layers) + besides
        first = ", ".join(str(layers * k + besides) for k in (1, 2, 3))
        form = f"{layers} n + {besides}" if layers > 1 else f"n + {besides}"
        raise ValueError(f"depth must be {form} with n >= 1 ({first}, ...), got {depth}; {nearest} is nearest")
    return n
