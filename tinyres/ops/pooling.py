"""Pooling and upsampling.

A max pool is linear once its winners (argmax of each window) are known, so `max_pool2d_dx` and `max_pool2d_take` are
each other's vector-Jacobian products. So are `avg_pool2d` and `avg_pool2d_dx`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tinyres_kernels.geometry import conv_out
from tinyres_kernels.settings import AvgPool, MaxPool

from tinyres.arrays import kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.primitive import describe
from tinyres.autograd.tensor import raw
from tinyres.ops.convolution import channels_first, channels_last, pair
from tinyres.ops.elementwise import floating
from tinyres.ops.linalg import matmul
from tinyres.ops.reduction import mean
from tinyres.ops.shape import expand, matrix_transpose, reshape


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
def max_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Any:
    """Max pooling: the largest element of each window. Of equal ones the first gets the gradient. Padding never wins.

    x: (N, C, H, W) -> (N, C, OH, OW), OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1; stride defaults to
    the kernel's size. Raises ValueError if a window would contain only padding.
    """
    kernel = pair(kernel_size, "kernel_size")
    step = kernel if stride is None else pair(stride, "stride")
    return max_pool2d_(x, window=MaxPool(kernel, step, pair(padding, "padding"), pair(dilation, "dilation")))


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
def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True) -> Any:
    """Average pooling: the mean of each window; with count_include_pad=False padding does not count.

    x: (N, C, H, W) -> (N, C, OH, OW); stride defaults to the kernel's size.
    """
    kernel, x = pair(kernel_size, "kernel_size"), floating(x)
    step = kernel if stride is None else pair(stride, "stride")
    return avg_pool2d_(x, window=AvgPool(kernel, step, pair(padding, "padding"), count_include_pad))


@public
def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Means over output_size regions that cover the image: region i spans floor(i H / OH) to ceil((i + 1) H / OH)."""
    _check_image("adaptive_avg_pool2d", x)
    (OH, OW), x = pair(output_size, "output_size"), floating(x)
    if (OH, OW) == (1, 1):
        return mean(x, (2, 3), keepdims=True)
    rows, cols = (_regions(n, m, x) for n, m in zip(x.shape[2:], (OH, OW), strict=True))
    return matmul(rows, matmul(x, matrix_transpose(cols)))  # (OH, H) (N, C, H, W) (W, OW)


def _check_image(op: str, x: Any) -> None:
    if x.ndim != 4:
        raise ValueError(f"{op}: needs an image (N, C, H, W), got {describe(raw(x))}")


def _regions(size: int, count: int, x: Any) -> Any:
    """The (count, size) matrix whose rows average the regions."""
    weights = np.zeros((count, size))
    for i in range(count):
        start, stop = i * size // count, -(-(i + 1) * size // count)
        weights[i, start:stop] = 1 / (stop - start)
    return namespace(raw(x)).asarray(weights, dtype=x.dtype)


@public
def upsample_nearest2d(x: Any, scale_factor: Any) -> Any:
    """Nearest-neighbour upsampling: repeat each pixel in both directions, (N, C, H, W) -> (N, C, H sh, W sw)."""
    _check_image("upsample_nearest2d", x)
    sh, sw = pair(scale_factor, "scale_factor")
    N, C, H, W = x.shape
    repeated = expand(reshape(x, (N, C, H, 1, W, 1)), (N, C, H, sh, W, sw))
    return reshape(repeated, (N, C, H * sh, W * sw))
