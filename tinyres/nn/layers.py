"""Linear layers, and the layers that reshape and resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.convert import check_dtype
from tinyres.nn.init import Rng, default_
from tinyres.nn.module import Module, Parameter
from tinyres.ops.linalg import linear


class Linear(Module):
    """A fully connected layer: y = x W^T + b.

    Shapes: x (..., in_features), W (out_features, in_features), b (out_features,), y (..., out_features).
    W and b start as U(-1/sqrt(in_features), 1/sqrt(in_features)), as in PyTorch.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Rng = None) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        default_(self.weight, self.bias, rng)

    def forward(self, x: Any) -> Any:
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{self.label()}: the last axis of x must have {self.in_features} entries, got shape {tuple(x.shape)}"
            )
        check_dtype(self, x, self.weight)
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """Join the axes start_dim to end_dim into one: (N, C, H, W) -> (N, C H W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        return ops.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Reshape(Module):
    """Reshape each sample: (N, ...) -> (N, *shape)."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def forward(self, x: Any) -> Any:
        return ops.reshape(x, (x.shape[0], *self.shape))

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.shape))


class Identity(Module):
    """y = x, whatever it is made with, as in PyTorch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, x: Any) -> Any:
        return x


class Unflatten(Module):
    """Cut the axis `dim` into axes of unflattened_size, of which one may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        axis = self.dim % x.ndim
        return ops.reshape(x, (*x.shape[:axis], *self.unflattened_size, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Upsample(Module):
    """Resample signals (N, C, L) or images (N, C, H, W) to another size; see `nn.functional.interpolate`.

    Args:
        size: of the output, an integer or one for each axis; or
        scale_factor: a number, or one for each axis.
        mode: "nearest", "linear", "bilinear", "bicubic", "area", "nearest-exact".
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        if (size is None) == (scale_factor is None):
            raise ValueError(
                f"Upsample: needs size or scale_factor, got {'neither' if size is None else 'both'}: "
                "Upsample(scale_factor=2) doubles the size"
            )
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, x: Any) -> Any:
        return F.interpolate(
            x, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        given = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{given}, mode={self.mode!r}"


class PixelShuffle(Module):
    """Channels become pixels: (..., C r^2, H, W) -> (..., C, H r, W r), r = upscale_factor (Shi et al. 2016
    [shi2016real])."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def forward(self, x: Any) -> Any:
        return F.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest"."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and aligned corners."""

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


__all__ = [
    "Flatten", "Identity", "Linear", "PixelShuffle", "Reshape", "Unflatten", "Upsample", "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]  # fmt: skip
