"""Pooling."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.convolution import Pair, Single
from tinyres.nn.module import Module


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def _settings(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Max pooling of signals: (N, C, L) -> (N, C, L'), or (C, L) -> (C, L'). The settings are those of `MaxPool2d`."""

    def forward(self, x: Any) -> Any:
        return F.max_pool1d(x, *self._settings())


class MaxPool2d(_MaxPool):
    """Max pooling, the largest value of each window: (N, C, H, W) -> (N, C, H', W'). stride defaults to kernel_size.

    Args:
        return_indices: return (y, indices), the places of the winners; see `nn.functional.max_pool2d`.
        ceil_mode: round the size up: the last window may hang over the rim.
    """

    def forward(self, x: Any) -> Any:
        return ops.max_pool2d(x, *self._settings())


class _AvgPool(Module):
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """Average pooling of signals: (N, C, L) -> (N, C, L'), or (C, L) -> (C, L'). The settings are as of `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Single,
        stride: Single | None = None,
        padding: Single = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def forward(self, x: Any) -> Any:
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPool):
    """Average pooling, the mean of each window: (N, C, H, W) -> (N, C, H', W'). stride defaults to kernel_size.

    Args:
        ceil_mode: round the size up: the last window may hang over the rim.
        count_include_pad: whether the zeros of the padding count towards the mean.
        divisor_override: what the sum of a window is divided by, instead of the number of its entries.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Any) -> Any:
        return ops.avg_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip


class _Adaptive(Module):
    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """Average pooling to a fixed size, over windows that cover the signal: (N, C, L) -> (N, C, output_size)."""

    def forward(self, x: Any) -> Any:
        return F.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """Average pooling to a fixed size, over windows that cover the image: (N, C, H, W) -> (N, C, *output_size).

    A size of None is that of the image.
    """

    def forward(self, x: Any) -> Any:
        return ops.adaptive_avg_pool2d(x, self.output_size)


__all__ = ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d"]
