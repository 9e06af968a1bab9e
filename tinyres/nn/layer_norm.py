"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn.module import Module, Parameter


class LayerNorm(Module):
    """Every sample brought to mean 0 and variance 1 over its last axes, then scaled and shifted entry by entry.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Mean and (biased) variance are those of one sample: no sample sees another, in training as in evaluation. That is
    why a critic under a gradient penalty takes it where others take batch norm. Ba et al. 2016 [ba2016layer], "Layer
    normalization".

    Shapes: x and y (..., *normalized_shape), weight and bias of `normalized_shape`; LayerNorm((C, H, W)) for images
    (N, C, H, W), whose weight then lies in memory as (H, W, C), as the images do.

    The mean is a number of x's dtype: where float32 data lie around 1e4, y is off by some 1e-3, one or two units in the
    mean's last place.

    Args:
        normalized_shape: the axes at the end of x over which is normalised; an integer for the last one.
        eps: keeps a constant sample from a division by 0.
        elementwise_affine: learn weight and bias, which start as 1 and 0.

    Raises:
        ValueError: there is nothing to normalise over, or x ends in other axes.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not math.prod(shape) or not shape:
            raise ValueError(f"LayerNorm: normalized_shape must hold at least one entry, got {shape}")
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(_channels_last(np.ones(shape, np.float32))) if elementwise_affine else None
        self.bias = Parameter(_channels_last(np.zeros(shape, np.float32))) if elementwise_affine else None

    def forward(self, x: Any) -> Any:
        own = self.normalized_shape
        if tuple(x.shape[-len(own) :]) != own:
            needed = ", ".join(["...", *map(str, own)])
            raise ValueError(f"{self.label()}: x must have shape ({needed}), got {tuple(x.shape)}")
        axes = tuple(range(x.ndim - len(own), x.ndim))
        x = x - ops.mean(x, axes, keepdims=True)
        # One division a sample; a product of every entry with a number is cheaper than a quotient, also backwards.
        y = x * (1 / ops.sqrt(ops.mean(x * x, axes, keepdims=True) + self.eps))
        if self.weight is not None:
            y = y * self.weight
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _channels_last(array: Any) -> Any:
    """(C, H, W) as a view of memory (H, W, C); other shapes as they are."""
    return array.reshape(*array.shape[1:], array.shape[0]).transpose(2, 0, 1) if array.ndim == 3 else array


__all__ = ["LayerNorm"]
