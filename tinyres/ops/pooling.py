"""Pooling.

A max pool is linear once its winners (argmax of each window) are known, so `max_pool2d_dx` and `max_pool2d_take` are
each other's vector-Jacobian products. So are `avg_pool2d` and `avg_pool2d_dx`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tinyres_kernels.geometry import conv_out
from tinyres_kernels.settings import AvgPool, MaxPool

from tinyres.arrays import kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.ops.convolution import channels_first, channels_last, pair
from tinyres.ops.elementwise import floating
from tinyres.ops.padding import pad_
from tinyres.ops.reduction import mean
from tinyres.ops.shape import concatenate, reshape
from tinyres.refusals.kinds import FLAG
from tinyres.refusals.wording import describe


def _pooled(x: Any, window: MaxPool | AvgPool) -> tuple[int, int, int, int]:
    """The shape (N, OH, OW, C) of the pool of an image (N, C, H, W)."""
    if x.ndim != 4:
        raise ValueError("needs an image (N, C, H, W)")
    N, C, *hw = x.shape
    sizes = zip(hw, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    OH, OW = (conv_out(n, k, s, p, d) for n, k, s, p, d in sizes)
    return N, OH, OW, C


@primitive(aux=True)
def max_pool2d_(x, *, window):
    xp = namespace(x)
    out = xp.empty(_pooled(x, window), x.dtype)
    winners = xp.empty(out.shape, xp.int32)
    kernels_for(x).max_pool2d(channels_last(x), out, winners, window)
    return channels_first(out), channels_first(winners)


@primitive
def max_pool2d_dx(dy, *, winners, x_hw, window):
    """Send the cotangent of each window to the element that won it."""
    N, C = dy.shape[:2]
    out = namespace(dy).empty((N, *x_hw, C), dy.dtype)
    kernels_for(dy).max_pool2d_dx(channels_last(dy), channels_last(winners), out, window)
    return channels_first(out)


@primitive
def max_pool2d_take(x, *, winners, window):
    """The element of each window that `winners` points at."""
    out = namespace(x).empty(_pooled(x, window), x.dtype)
    kernels_for(x).max_pool2d_take(channels_last(x), channels_last(winners), out, window)
    return channels_first(out)


max_pool2d_.vjp(x=lambda g, aux, x_shape, window: max_pool2d_dx(g, winners=aux, x_hw=x_shape[2:], window=window))
max_pool2d_dx.vjp(dy=lambda g, winners, window: max_pool2d_take(g, winners=winners, window=window))
max_pool2d_take.vjp(
    x=lambda g, winners, x_shape, window: max_pool2d_dx(g, winners=winners, x_hw=x_shape[2:], window=window)
)


@public
def max_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """Max pooling: the largest element of each window. Of equal ones the first gets the gradient. Padding never wins.

    x: (N, C, H, W) -> (N, C, OH, OW), OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1; stride defaults to
    the kernel's size. One image (C, H, W) will do. Raises ValueError if a window would contain only padding.

    Args:
        ceil_mode: round up instead: the last window may hang over the rim, if it starts before it.
        return_indices: return (y, indices): the place of each winner in its channel, row W + column.
    """
    if x.ndim == 3:
        found = max_pool2d(reshape(x, (1, *x.shape)), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return tuple(map(_only, found)) if return_indices else _only(found)
    kernel, width = pair(kernel_size, "kernel_size"), x.shape[-1]
    window = MaxPool(kernel, _step(stride, kernel), pair(padding, "padding"), pair(dilation, "dilation"))
    if ceil_mode:
        FLAG.check("max_pool2d", "ceil_mode", ceil_mode)
        x = _overhung(x, window, -math.inf)
    if not return_indices:
        return max_pool2d_(x, window=window)
    FLAG.check("max_pool2d", "return_indices", return_indices)
    winners = max_pool2d_.primitive.forward(raw(x), window=window)[1]
    places = _places(winners, window, width)
    return max_pool2d_take(x, winners=winners, window=window), wrap(places) if isinstance(x, Tensor) else places


def _places(winners: Any, window: MaxPool, width: int) -> Any:
    """row W + column of each winner, which is given as the number of a tap of its window."""
    xp = namespace(winners)
    rows, columns = (
        (xp.arange(out) * stride - padding)
        for out, stride, padding in zip(winners.shape[2:], window.stride, window.padding, strict=True)
    )
    taps = winners.astype(np.int64)
    rows = rows[:, None] + taps // window.kernel[1] * window.dilation[0]
    return rows * width + columns + taps % window.kernel[1] * window.dilation[1]


@primitive
def avg_pool2d_(x, *, window):
    out = namespace(x).empty(_pooled(x, window), x.dtype)
    kernels_for(x).avg_pool2d(channels_last(x), out, window)
    return channels_first(out)


@primitive
def avg_pool2d_dx(dy, *, x_hw, window):
    """The vector-Jacobian product of avg_pool2d."""
    out = namespace(dy).empty((dy.shape[0], *x_hw, dy.shape[1]), dy.dtype)
    kernels_for(dy).avg_pool2d_dx(channels_last(dy), out, window)
    return channels_first(out)


avg_pool2d_.vjp(x=lambda g, x_shape, window: avg_pool2d_dx(g, x_hw=x_shape[2:], window=window))
avg_pool2d_dx.vjp(dy=lambda g, window: avg_pool2d_(g, window=window))


@public
def avg_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """Average pooling: the mean of each window; with count_include_pad=False padding does not count.

    x: (N, C, H, W) -> (N, C, OH, OW); stride defaults to the kernel's size. One image (C, H, W) will do.

    Args:
        ceil_mode: round the size up: the last window may hang over the rim, if it starts before it. What lies beyond
            image and padding never counts.
        divisor_override: what the sum of each window is divided by, instead of the number of its elements.
    """
    if x.ndim == 3:
        more = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        return _only(avg_pool2d(reshape(x, (1, *x.shape)), *more))
    kernel, x = pair(kernel_size, "kernel_size"), floating(x)
    if count_include_pad is not True:
        FLAG.check("avg_pool2d", "count_include_pad", count_include_pad)
    window = AvgPool(kernel, _step(stride, kernel), pair(padding, "padding"), count_include_pad)
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    if not ceil_mode and divisor_override is None:
        return avg_pool2d_(x, window=window)
    FLAG.check("avg_pool2d", "ceil_mode", ceil_mode)
    counts = divisor_override if divisor_override is not None else _counts(x, window)
    sums = avg_pool2d_(_overhung(x, window, 0.0) if ceil_mode else x, window=window._replace(count_include_pad=True))
    return sums * (kernel[0] * kernel[1] / counts)


def _counts(x: Any, window: AvgPool) -> Any:
    """How many elements each window of an average in ceil_mode has, (OH, OW)."""
    along = []
    for n, k, s, p, d in _axes(x, window):
        starts = np.arange(_rounded_up(n, k, s, p, d)) * s - p
        ends = np.minimum(starts + k, n + p)
        inside = np.minimum(ends, n) - np.maximum(starts, 0)
        along.append(ends - starts if window.count_include_pad else inside)
    return namespace(raw(x)).asarray(np.outer(*along), dtype=x.dtype)


def _axes(x: Any, window: MaxPool | AvgPool) -> Any:
    """For rows and columns: size, kernel, stride, padding, dilation."""
    if x.ndim != 4:
        raise ValueError(f"a pool needs images (N, C, H, W), or one (C, H, W), got {describe(raw(x))}")
    return zip(x.shape[2:], window.kernel, window.stride, window.padding, window.dilation, strict=True)


def _rounded_up(n: int, k: int, s: int, p: int, d: int) -> int:
    """The number of windows in ceil_mode: the last must start in the image or in the padding before it."""
    out = conv_out(n + s - 1, k, s, p, d)
    return out - 1 if (out - 1) * s >= n + p else out


def _overhung(x: Any, window: MaxPool | AvgPool, value: float) -> Any:
    """The image with the rows and columns, of `value`, over which windows hang in ceil_mode."""
    more = [
        max(0, (_rounded_up(n, k, s, p, d) - 1) * s + (k - 1) * d + 1 - n - 2 * p) for n, k, s, p, d in _axes(x, window)
    ]
    return pad_(x, widths=((0, 0), (0, 0), (0, more[0]), (0, more[1])), value=value) if any(more) else x


def _step(stride: Any, kernel: Any) -> Any:
    given = stride is not None and not (isinstance(stride, (tuple, list)) and not stride)
    return pair(stride, "stride") if given else kernel


def _only(y: Any) -> Any:
    return reshape(y, y.shape[1:])


@public
def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Means over output_size regions that cover the image: region i spans floor(i H / OH) to ceil((i + 1) H / OH).

    x: (N, C, H, W) or (C, H, W). A size of None is that of the image.
    """
    if x.ndim == 3:
        return _only(adaptive_avg_pool2d(reshape(x, (1, *x.shape)), output_size))
    if x.ndim != 4:
        raise ValueError(f"adaptive_avg_pool2d: needs an image (N, C, H, W), got {describe(raw(x))}")
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    sizes = [n if size is None else size for size, n in zip(sizes, x.shape[2:], strict=False)]
    (OH, OW), x = pair(sizes, "output_size"), floating(x)
    if (OH, OW) == (1, 1):
        return mean(x, (2, 3), keepdims=True)
    H, W = x.shape[2:]
    if OH and OW and H % OH == 0 and W % OW == 0:
        return avg_pool2d(x, (H // OH, W // OW))
    return _means(_means(x, 2, OH), 3, OW)


def _means(x: Any, axis: int, count: int) -> Any:
    """The means of so many regions along an axis. Not a product with weights: 0 times NaN would spread it."""
    size, before = x.shape[axis], (slice(None),) * axis
    regions = [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return concatenate([mean(x[(*before, region)], axis, keepdims=True) for region in regions], axis)
