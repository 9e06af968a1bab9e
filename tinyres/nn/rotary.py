"""Rotary positions: queries and keys are turned, so that their product knows how far apart they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays import device_of, to_device
from tinyres.autograd.tensor import raw
from tinyres.nn.module import Module
from tinyres.ops.shape import concatenate


class Rotary(Module):
    """Turn each pair (x_i, x_{i + E/2}) of the vector at position t by the angle t base^(-2 i / E).

    The product of a query at t and a key at s then depends on t - s alone, and its length is kept. Su et al. 2024
    [su2024roformer], "RoFormer: Enhanced Transformer with rotary position embedding", with the halves of a vector as
    partners (there: neighbours, which is the same up to the order of the entries). Nothing is learned.

    Shapes: x and y (..., T, E); positions are 0 to T - 1.

    Args:
        dim: E, even.
        base: of the angles' geometric sequence.

    Raises:
        ValueError: dim is odd, or x has another width.
    """

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        if dim < 2 or dim % 2:
            raise ValueError(f"Rotary: dim must be even, since entries are turned in pairs, got {dim}")
        self.dim, self.base = dim, base
        self._tables: dict[tuple[Any, ...], tuple[Any, Any]] = {}

    def forward(self, x: Any) -> Any:
        if x.ndim < 2 or x.shape[-1] != self.dim:
            raise ValueError(f"{self.label()}: needs x of shape (..., T, {self.dim}), got {tuple(x.shape)}")
        cos, sin = self._angles(x.shape[-2], x.dtype, device_of(raw(x)))
        half = self.dim // 2
        turned = concatenate([-x[..., half:], x[..., :half]], -1)
        return x * cos + turned * sin

    def _angles(self, length: int, dtype: Any, device: str) -> tuple[Any, Any]:
        """Cosines and sines (T, E), computed in float64 once for each length."""
        key = (length, np.dtype(dtype), device)
        if key not in self._tables:
            angles = np.outer(np.arange(length), self.base ** (-np.arange(0, self.dim, 2) / self.dim))
            both = np.concatenate([angles, angles], axis=1)
            cos, sin = (to_device(f(both).astype(dtype), device) for f in (np.cos, np.sin))
            self._tables = {key: (cos, sin)}  # of the last length only: training has one
        return self._tables[key]

    def extra_repr(self) -> str:
        return f"{self.dim}, base={self.base}"


__all__ = ["Rotary"]
