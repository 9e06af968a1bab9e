"""What classifiers of every kind have in common: a stem, blocks and a head, one after the other."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from tinyres import nn
from tinyres.nn import init

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class Classifier(nn.Module):
    """head(blocks(stem(x))); the children of `blocks` are what instruments watch.

    Args:
        image: (C, H, W) of the images, where the layers fit no others; None: any.
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
                f"{self.label()}: made for images of shape (N, {c}, {h}, {h}), got {tuple(x.shape)}; "
                "make it with the in_channels and the size of the images"
            )
        return self.head(self.blocks(self.stem(x)))


def he_(layer: Layer, nonlinearity: str = "relu", *, rng: np.random.Generator) -> Layer:
    """Weights from N(0, gain²/fan_in), gain² = 2 before a ReLU and 1 before nothing ("linear"); biases 0; the layer."""
    init.kaiming_normal_(layer.weight, nonlinearity=nonlinearity, rng=rng)
    if layer.bias is not None:
        init.zeros_(layer.bias)
    return layer


def block_count(depth: int, layers: int, besides: int) -> int:
    """n of a net that has depth = layers n + besides layers with weights.

    Raises:
        ValueError: there is no such n >= 1; it names the nearest depth for which there is one.
    """
    n, rest = divmod(depth - besides, layers)
    if n < 1 or rest:
        nearest = layers * max(1, (depth - besides + (layers - 1) // 2) // layers) + besides
        first = ", ".join(str(layers * k + besides) for k in (1, 2, 3))
        form = f"{layers} n + {besides}" if layers > 1 else f"n + {besides}"
        raise ValueError(f"depth must be {form} with n >= 1 ({first}, ...), got {depth}; {nearest} is nearest")
    return n
