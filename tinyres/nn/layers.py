"""Linear and convolutional layers, and the reshaping layers that go between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Tensor
from tinyres.nn import init
from tinyres.nn.init import Rng
from tinyres.nn.module import Module, Parameter
from tinyres.ops.convolution import pair

Pair = int | tuple[int, int]


def check_dtype(module: Module, x: Any, weight: Parameter) -> None:
    """Raises TypeError, naming the module and both ways out, where the input has another dtype than the weights."""
    if x.dtype is not weight.dtype and isinstance(x, (Tensor, np.ndarray)) and x.dtype != weight.dtype:
        raise TypeError(
            f"{module.label()}: the input is {x.dtype}, the weights are {weight.dtype}; convert the input, "
            f"x.astype('{weight.dtype}'), or the model, model.to('{x.dtype if x.dtype.kind == 'f' else 'float64'}')"
        )


class Linear(Module):
    """A fully connected layer: y = x W^T + b.

    Shapes: x (..., in_features), W (out_features, in_features), b (out_features,), y (..., out_features).
    W and b start as U(-1/sqrt(in_features), 1/sqrt(in_features)), as in PyTorch.
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Rng = None) -> None:
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        _default(self.weight, self.bias, rng)

    def forward(self, x: Any) -> Any:
        if not x.ndim or x.shape[-1] != self.in_features:
            raise ValueError(
                f"{self.label()}: the last axis of x must have {self.in_features} entries, got shape {tuple(x.shape)}"
            )
        check_dtype(self, x, self.weight)
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class _Conv(Module):
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair,
        groups: int,
        dilation: Pair,
    ) -> None:
        kind = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{kind}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair(kernel_size, f"{kind}: kernel_size")
        self.stride = pair(stride, f"{kind}: stride")
        self.padding = pair(padding, f"{kind}: padding")
        self.dilation = pair(dilation, f"{kind}: dilation")

    def _make(self, rows: int, columns: int, bias: bool, rng: Rng) -> None:
        # Logical order is (O, C, KH, KW), memory is (KH, KW, C, O): what the kernels read without a copy.
        memory = np.empty((*self.kernel_size, columns, rows), np.float32)
        self.weight = Parameter(memory.transpose(3, 2, 0, 1))
        self.bias = Parameter(np.empty(self.out_channels, np.float32)) if bias else None
        _default(self.weight, self.bias, rng)

    def _check(self, x: Any) -> None:
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"{self.label()}: x must have shape (N, {self.in_channels}, H, W), got {tuple(x.shape)}")
        check_dtype(self, x, self.weight)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + ("" if self.bias is not None else ", bias=False")


class Conv2d(_Conv):
    """Convolution of images with a bank of filters (as everywhere in deep learning, a cross-correlation).

        y[n, o, i, j] = b[o] + sum over c, p, q of W[o, c, p, q] x[n, c, i s - pad + p d, j s - pad + q d]

    Shapes: x (N, in_channels, H, W), W (out_channels, in_channels / groups, KH, KW), y (N, out_channels, H', W') with
    H' = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1. The weight lies in memory as (KH, KW, C / groups, O).
    W and b start as U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as in PyTorch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups, dilation)
        self._make(out_channels, in_channels // groups, bias, rng)

    def forward(self, x: Any) -> Any:
        self._check(x)
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose2d(_Conv):
    """Transposed convolution: the adjoint of Conv2d, so its vector-Jacobian product; it enlarges images by `stride`.

    Shapes: x (N, in_channels, H, W), W (in_channels, out_channels / groups, KH, KW), y (N, out_channels, H', W') with
    H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1. The weight's memory is that of a Conv2d
    with O = in_channels. Dumoulin & Visin 2016 [dumoulin2016guide], "A guide to convolution arithmetic for deep
    learning".
    """

    outputs_axis = 1  # the axis of output channels in the weight; in other layers it is 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups, dilation)
        self.output_padding = pair(output_padding, "ConvTranspose2d: output_padding")
        self._make(in_channels, out_channels // groups, bias, rng)

    def forward(self, x: Any) -> Any:
        self._check(x)
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.output_padding == (0, 0) else f"{text}, output_padding={self.output_padding}"


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
    """y = x."""

    def forward(self, x: Any) -> Any:
        return x


class Upsample(Module):
    """Nearest-neighbour upsampling: repeat each pixel in both directions, (N, C, H, W) -> (N, C, s H, s W)."""

    def __init__(self, scale_factor: int | Pair) -> None:
        if min(pair(scale_factor, "Upsample: scale_factor")) < 1:
            raise ValueError(f"Upsample: scale_factor must be at least 1, got {scale_factor}")
        self.scale_factor = scale_factor

    def forward(self, x: Any) -> Any:
        return ops.upsample_nearest2d(x, self.scale_factor)

    def extra_repr(self) -> str:
        return f"scale_factor={self.scale_factor}"


def _default(weight: Parameter, bias: Parameter | None, rng: Rng) -> None:
    rng = rng_of(rng)
    init.kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)
    if bias is not None:
        bound = 1 / math.sqrt(max(init.fans("bias", weight)[0], 1))
        init.uniform_(bias, -bound, bound, rng=rng)


__all__ = ["Conv2d", "ConvTranspose2d", "Flatten", "Identity", "Linear", "Reshape", "Upsample", "pair"]
