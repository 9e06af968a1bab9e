"""Convolution: three primitives that are each other's derivatives, so that three kernels give every order.

    | primitive                             | rule for the first argument | rule for the second     |
    | conv2d(x, w),            cotangent g  | conv2d_dx(g, w, x_hw)       | conv2d_dw(x, g, k_hw)   |
    | conv2d_dx(dy, w, x_hw),  cotangent u  | conv2d(u, w)                | conv2d_dw(u, dy, k_hw)  |
    | conv2d_dw(x, dy, k_hw),  cotangent v  | conv2d_dx(dy, v, x_hw)      | conv2d(x, v)            |

Shapes are logical: images (N, C, H, W), weights (O, C/groups, KH, KW). Kernels take channels-last arrays, (N, H, W, C)
and (KH, KW, C, O). An operation returns a transposed view of a kernel's result, and the next one transposes it back, so
nothing is copied along a chain of layers.
"""

from __future__ import annotations

from typing import Any

from tinyres_kernels.geometry import Pair, conv_out
from tinyres_kernels.settings import Conv

from tinyres.arrays import empty, kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.ops.padding import pad_
from tinyres.ops.shape import INTEGERS, reshape

LARGEST = 1 << 31  # no side of an image, or of a window, is that long


def pair(value: Any, name: str) -> Pair:
    """An integer (alone or in a tuple), for both directions, or a pair (vertical, horizontal), as a pair."""
    both = (value, value) if isinstance(value, INTEGERS) else value
    if isinstance(both, (tuple, list)) and len(both) == 1:
        both = (*both, *both)
    if not isinstance(both, (tuple, list)) or len(both) != 2 or not all(isinstance(n, INTEGERS) for n in both):
        raise ValueError(f"{name} must be an integer or a pair of integers, got {value!r}")
    if max(both) >= LARGEST:
        raise ValueError(f"{name} must be less than 2^31, got {value!r}")
    return int(both[0]), int(both[1])


def channels_last(x: Any) -> Any:
    """(N, C, H, W) as a contiguous (N, H, W, C) array: a view if the memory is channels-last, else a copy."""
    return namespace(x).ascontiguousarray(x.transpose(0, 2, 3, 1))


def channels_first(x: Any) -> Any:
    """The (N, C, H, W) view of an (N, H, W, C) array."""
    return x.transpose(0, 3, 1, 2)


def taps_first(w: Any) -> Any:
    """(O, C, KH, KW) as a contiguous (KH, KW, C, O) array: the weight layout of the kernels."""
    return namespace(w).ascontiguousarray(w.transpose(2, 3, 1, 0))  # (O, C, KH, KW) -> (KH, KW, C, O)


def _check(x: Any, w: Any) -> None:
    if x.ndim != 4 or w.ndim != 4:
        raise ValueError("needs an image (N, C, H, W) and a weight (O, C/groups, KH, KW)")
    if x.dtype != w.dtype:
        raise TypeError(f"the dtypes {x.dtype} and {w.dtype} differ; convert one, e.g. with .astype('{w.dtype}')")


@primitive
def conv2d_(x, w, *, geometry, kernel=None):
    """kernel: replaces `kernels.conv2d` by a fused kernel that also computes something else."""
    _check(x, w)
    (N, _, H, W), (O, _, KH, KW) = x.shape, w.shape
    stride, padding, dilation, _ = geometry
    OH = conv_out(H, KH, stride[0], padding[0], dilation[0])
    OW = conv_out(W, KW, stride[1], padding[1], dilation[1])
    out = empty((N, OH, OW, O), like=x)
    convolve = kernels_for(x, w).conv2d if kernel is None else kernel
    return channels_first(convolve(channels_last(x), taps_first(w), out, geometry))


@primitive
def conv2d_dx(dy, w, *, x_hw, geometry):
    """The vector-Jacobian product of conv2d in its image: the gradient dx. It is also the transposed convolution."""
    _check(dy, w)
    out = empty((dy.shape[0], *x_hw, w.shape[1] * geometry.groups), like=dy)
    return channels_first(kernels_for(dy, w).conv2d_dx(channels_last(dy), taps_first(w), out, geometry))


@primitive
def conv2d_dw(x, dy, *, k_hw, geometry):
    """The vector-Jacobian product of conv2d in its weight: the gradient dw."""
    _check(x, dy)
    out = empty((*k_hw, x.shape[1] // geometry.groups, dy.shape[1]), like=x)
    dw = kernels_for(x, dy).conv2d_dw(channels_last(x), channels_last(dy), out, geometry)
    return dw.transpose(3, 2, 0, 1)  # (KH, KW, C, O) -> (O, C, KH, KW)


conv2d_.vjp(
    x=lambda g, w, x_shape, geometry: conv2d_dx(g, w, x_hw=x_shape[2:], geometry=geometry),
    w=lambda g, x, w_shape, geometry: conv2d_dw(x, g, k_hw=w_shape[2:], geometry=geometry),
)
conv2d_dx.vjp(
    dy=lambda g, w, geometry: conv2d_(g, w, geometry=geometry),
    w=lambda g, dy, w_shape, geometry: conv2d_dw(g, dy, k_hw=w_shape[2:], geometry=geometry),
)
conv2d_dw.vjp(
    x=lambda g, dy, x_shape, geometry: conv2d_dx(dy, g, x_hw=x_shape[2:], geometry=geometry),
    dy=lambda g, x, geometry: conv2d_(x, g, geometry=geometry),
)


@public
def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """2-D convolution:  y[n,o,i,j] = bias[o] + sum_{c,p,q} x[n, c, i s - pad + p d, j s - pad + q d] w[o,c,p,q].

    Args:
        x: images (N, C, H, W), or one image (C, H, W).
        weight: (O, C/groups, KH, KW).
        bias: (O,) or None.
        stride, padding, dilation: an integer, or (vertical, horizontal). padding may be "valid", which is 0, or "same",
            which gives an image as large as x (at stride 1; an odd row or column goes to the bottom or right).
        groups: split the channels into so many groups that do not mix.

    Returns:
        (N, O, OH, OW) with OH = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1.

    Raises:
        ValueError: the shapes do not fit together, or the kernel is larger than the padded image.
        TypeError: image and weight have different dtypes.
    """
    if x.ndim == 3 and weight.ndim == 4:
        y = conv2d(reshape(x, (1, *x.shape)), weight, bias, stride, padding, dilation, groups)
        return reshape(y, y.shape[1:])
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    if isinstance(padding, str):
        x, padding = _padded_by_name(x, weight, stride, padding, dilation)
    y = conv2d_(x, weight, geometry=Conv(stride, pair(padding, "padding"), dilation, groups))
    return y if bias is None else y + _per_channel("conv2d", bias, y)


def _padded_by_name(x: Any, w: Any, stride: Pair, padding: str, dilation: Pair) -> tuple[Any, Pair]:
    """The image and the symmetric padding that "same" or "valid" asks for."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise ValueError(f"padding must be numbers, 'same' or 'valid', got {padding!r}")
    if stride != (1, 1):
        raise ValueError(
            f"padding='same' needs stride 1, got {stride}; take padding=kernel_size // 2 to halve the size"
        )
    rows, columns = (d * (k - 1) for d, k in zip(dilation, w.shape[2:], strict=True))
    if rows % 2 or columns % 2:
        x = pad_(x, widths=((0, 0), (0, 0), (0, rows % 2), (0, columns % 2)), value=0.0)
    return x, (rows // 2, columns // 2)


@public
def conv_transpose2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution, the adjoint of conv2d:  <conv_transpose2d(x, w), u> = <x, conv2d(u, w)>  for every u.

    Args:
        x: (N, C, H, W) or (C, H, W).
        weight: (C, O/groups, KH, KW).
        bias: (O,) or None.
        output_padding: rows and columns added at the bottom and right, fewer than stride or dilation. At stride > 1
            conv2d maps several image sizes to the same size; this chooses among them.

    Returns:
        (N, O, OH, OW) with OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1.
    """
    if x.ndim == 3 and weight.ndim == 4:
        one = reshape(x, (1, *x.shape))
        y = conv_transpose2d(one, weight, bias, stride, padding, output_padding, groups, dilation)
        return reshape(y, y.shape[1:])
    geometry = Conv(pair(stride, "stride"), pair(padding, "padding"), pair(dilation, "dilation"), groups)
    extra = pair(output_padding, "output_padding")
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"conv_transpose2d: needs images (N, C, H, W) and a weight (C, O/groups, KH, KW), "
            f"got {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if any(e >= max(s, d) for e, s, d in zip(extra, geometry.stride, geometry.dilation, strict=True)):
        raise ValueError(f"conv_transpose2d: output_padding must be smaller than stride or dilation, got {extra}")
    sizes = zip(x.shape[2:], weight.shape[2:], geometry.stride, geometry.padding, geometry.dilation, extra, strict=True)
    x_hw = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in sizes)
    if min(x_hw) < 1:
        raise ValueError(f"conv_transpose2d: the result would have size {x_hw}; take a smaller padding than {padding}")
    # conv2d of such a larger image can have more rows and columns than x. They get no contribution: pad x with zeros.
    more = [e // s for e, s in zip(extra, geometry.stride, strict=True)]
    if any(more):
        x = pad_(x, widths=((0, 0), (0, 0), (0, more[0]), (0, more[1])), value=0.0)
    y = conv2d_dx(x, weight, x_hw=x_hw, geometry=geometry)
    return y if bias is None else y + _per_channel("conv_transpose2d", bias, y)


def _per_channel(function: str, bias: Any, y: Any) -> Any:
    """A bias (O,) as (1, O, 1, 1). Its shape is checked, since a single number would broadcast."""
    if bias.shape != y.shape[1:2]:
        raise ValueError(f"{function}: bias must have the shape {tuple(y.shape[1:2])}, got {tuple(bias.shape)}")
    return reshape(bias, (1, -1, 1, 1))
