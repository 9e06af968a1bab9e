"""Convolutions of signals and of images, and their adjoints."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.convert import check_dtype
from tinyres.nn.init import Rng, default_
from tinyres.nn.module import Module, Parameter
from tinyres.ops.shape import INTEGERS

Pair = int | tuple[int, int]
Single = int | tuple[int]
MODES = "zeros", "reflect", "replicate", "circular"


class _Conv(Module):
    weight: Parameter
    bias: Parameter | None
    _axes = "HW"  # of x after N and C
    padding: tuple[int, ...] | str

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        groups: int,
        dilation: Any,
        padding_mode: str,
    ) -> None:
        kind = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{kind}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._each(kernel_size, "kernel_size")
        self.stride = self._each(stride, "stride")
        self.dilation = self._each(dilation, "dilation")
        self.padding = padding if padding in ("same", "valid") else self._each(padding, "padding")
        self.padding_mode = padding_mode

    def _each(self, value: Any, name: str) -> tuple[int, ...]:
        """A number for each axis: an integer stands for all of them."""
        axes = len(self._axes)
        each = (value,) * axes if isinstance(value, INTEGERS) else value
        if not isinstance(each, (tuple, list)) or len(each) != axes or not all(isinstance(n, INTEGERS) for n in each):
            needed = "an integer or a pair of integers" if axes == 2 else "an integer"
            raise ValueError(f"{type(self).__name__}: {name} must be {needed}, got {value!r}")
        return tuple(map(int, each))

    def _make(self, rows: int, columns: int, bias: bool, rng: Rng) -> None:
        # Logical order is (O, C, KH, KW), memory is (KH, KW, C, O): what the kernels read without a copy.
        memory, axes = np.empty((*self.kernel_size, columns, rows), np.float32), len(self._axes)
        self.weight = Parameter(memory.transpose(axes + 1, axes, *range(axes)))
        self.bias = Parameter(np.empty(self.out_channels, np.float32)) if bias else None
        default_(self.weight, self.bias, rng)

    def _check(self, x: Any) -> None:
        axes = len(self._axes)
        if x.ndim not in (axes + 1, axes + 2) or x.shape[-axes - 1] != self.in_channels:
            shape = ", ".join([str(self.in_channels), *self._axes])
            raise ValueError(f"{self.label()}: x must have shape (N, {shape}) or ({shape}), got {tuple(x.shape)}")
        check_dtype(self, x, self.weight)

    def extra_repr(self) -> str:
        none = (0,) * len(self._axes)
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != none:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * len(self._axes):
            text += f", dilation={self.dilation}"
        if getattr(self, "output_padding", none) != none:
            text += f", output_padding={getattr(self, 'output_padding', none)}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        text += "" if self.bias is not None else ", bias=False"
        return text if self.padding_mode == "zeros" else f"{text}, padding_mode={self.padding_mode}"


class _Forward(_Conv):
    """A convolution, as opposed to a transposed one."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups, dilation, padding_mode)
        kind = type(self).__name__
        if padding_mode not in MODES:
            raise ValueError(f"{kind}: padding_mode must be one of {', '.join(map(repr, MODES))}, got {padding_mode!r}")
        if padding == "same" and set(self.stride) != {1}:
            raise ValueError(f"{kind}: padding='same' needs stride 1, got {self.stride}")
        self._make(out_channels, in_channels // groups, bias, rng)

    def _padded(self, x: Any) -> Any:
        """x, padded with its own values."""
        margins: list[int] = []  # (left, right) of the last axis first
        for i in reversed(range(len(self._axes))):
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
                margins += [total // 2, total - total // 2]
            else:
                margins += [self.padding[i]] * 2
        return ops.pad(x, margins, self.padding_mode)


class Conv1d(_Forward):
    """Convolution of signals: y[n, o, i] = b[o] + sum over c, p of W[o, c, p] x[n, c, i stride - padding + p dilation].

    Shapes: x (N, in_channels, L) or (in_channels, L), W (out_channels, in_channels / groups, K), y (N, out_channels,
    L') with L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1. The settings are those of `Conv2d`.
    """

    _axes = "L"

    def forward(self, x: Any) -> Any:
        self._check(x)
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = self._padded(x), 0
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Forward):
    """Convolution of images with a bank of filters (as everywhere in deep learning, a cross-correlation).

        y[n, o, i, j] = b[o] + sum over c, p, q of W[o, c, p, q] x[n, c, i s - pad + p d, j s - pad + q d]

    Shapes: x (N, in_channels, H, W) or (in_channels, H, W), W (out_channels, in_channels / groups, KH, KW), y (N,
    out_channels, H', W') with H' = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1. The weight lies in memory as
    (KH, KW, C / groups, O). W and b start as U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as in PyTorch.

    Args:
        padding: numbers, "valid" for 0, or "same" for an image as large as x (at stride 1).
        padding_mode: what the padding holds: "zeros", or as the modes of `nn.functional.pad`: "reflect", "replicate",
            "circular".
    """

    def forward(self, x: Any) -> Any:
        self._check(x)
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = self._padded(x), 0
        return ops.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _Transposed(_Conv):
    outputs_axis = 1  # the axis of output channels in the weight; in other layers it is 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        *,
        rng: Rng = None,
    ) -> None:
        if padding_mode != "zeros" or isinstance(padding, str):
            what = f"padding={padding!r}" if isinstance(padding, str) else f"padding_mode={padding_mode!r}"
            raise ValueError(f"{type(self).__name__}: padding takes rows away here, with numbers only; got {what}")
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups, dilation, padding_mode)
        self.output_padding = self._each(output_padding, "output_padding")
        self._make(in_channels, out_channels // groups, bias, rng)

    def _extra(self, x: Any, output_size: Any) -> tuple[int, ...]:
        """The output padding that gives `output_size`; without one, that of the layer."""
        if output_size is None:
            return self.output_padding
        padding: Any = self.padding
        wanted = self._each(tuple(output_size)[-len(self._axes) :], "output_size")
        sizes = zip(x.shape[-len(self._axes) :], self.kernel_size, self.stride, padding, self.dilation, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in sizes]
        extra = tuple(w - n for w, n in zip(wanted, least, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            most = [n + s - 1 for n, s in zip(least, self.stride, strict=True)]
            raise ValueError(f"{self.label()}: output_size must be from {least} to {most}, got {list(wanted)}")
        return extra


class ConvTranspose1d(_Transposed):
    """Transposed convolution of signals, the adjoint of Conv1d; see `ConvTranspose2d`.

    Shapes: x (N, in_channels, L) or (in_channels, L), W (in_channels, out_channels / groups, K).
    """

    _axes = "L"

    def forward(self, x: Any, output_size: Any = None) -> Any:
        self._check(x)
        extra = self._extra(x, output_size)
        return F.conv_transpose1d(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_Transposed):
    """Transposed convolution: the adjoint of Conv2d, so its vector-Jacobian product; it enlarges images by `stride`.

    Shapes: x (N, in_channels, H, W) or (in_channels, H, W), W (in_channels, out_channels / groups, KH, KW), y (N,
    out_channels, H', W') with H' = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1. The weight's
    memory is that of a Conv2d with O = in_channels. A size H' can be asked for with each call, `layer(x, output_size)`,
    instead of by output_padding. Dumoulin & Visin 2016 [dumoulin2016guide], "A guide to convolution arithmetic for deep
    learning".
    """

    def forward(self, x: Any, output_size: Any = None) -> Any:
        self._check(x)
        extra = self._extra(x, output_size)
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Pair", "Single"]
