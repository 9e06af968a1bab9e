"""Layer normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.nn import functional as F
from tinyres.nn.module import Module, Parameter
from tinyres.refusals.kinds import is_whole


class LayerNorm(Module):
    """Normalise each sample to mean 0 and variance 1 over its last axes, then scale and shift elementwise.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Mean and (biased) variance are those of one sample, in training and in evaluation, so samples do not influence each
    other. That is why a critic with a gradient penalty uses it in place of batch norm. Ba et al. 2016 [ba2016layer],
    "Layer normalization".

    Shapes: x and y (..., *normalized_shape), weight and bias normalized_shape; LayerNorm((C, H, W)) for images
    (N, C, H, W), whose weight lies in memory as (H, W, C), like the images.

    The mean is rounded to x's dtype: for float32 data around 1e4, y is off by some 1e-3, one or two units in the mean's
    last place.

    Args:
        normalized_shape: the sizes of the last axes of x, to normalise over; an integer for the last axis alone.
        eps: avoids division by 0 for a constant sample.
        elementwise_affine: learn weight and bias, which start as 1 and 0.
        bias: with False, learn the weight alone.

    Raises:
        ValueError: normalized_shape is empty, or x does not end in it.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        shape = (int(normalized_shape),) if is_whole(normalized_shape) else tuple(normalized_shape)  # type: ignore[arg-type]
        if not math.prod(shape) or not shape:
            raise ValueError(f"LayerNorm: normalized_shape must hold at least one entry, got {shape}")
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(_channels_last(np.ones(shape, np.float32))) if elementwise_affine else None
        biased = elementwise_affine and bias
        self.bias = Parameter(_channels_last(np.zeros(shape, np.float32))) if biased else None

    def forward(self, x: Any) -> Any:
        own = self.normalized_shape
        if tuple(x.shape[-len(own) :]) != own:
            needed = ", ".join(["...", *map(str, own)])
            raise ValueError(f"{self.label()}: x must have shape ({needed}), got {tuple(x.shape)}")
        return F.layer_norm(x, own, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """x / sqrt(mean of x^2 + eps) * weight over the last axes: a layer norm that keeps the mean.

    Args:
        eps: None takes the precision of x's dtype.
    """

    weight: Parameter | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True
    ) -> None:
        shape = (int(normalized_shape),) if is_whole(normalized_shape) else tuple(normalized_shape)  # type: ignore[arg-type]
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(_channels_last(np.ones(shape, np.float32))) if elementwise_affine else None

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _channels_last(array: Any) -> Any:
    """(C, H, W) as a view of memory (H, W, C); other shapes as they are."""
    return array.reshape(*array.shape[1:], array.shape[0]).transpose(2, 0, 1) if array.ndim == 3 else array


__all__ = ["LayerNorm", "RMSNorm"]
