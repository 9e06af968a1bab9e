"""Convolution and pooling of signals (N, C, L), or of one signal (C, L): those of images with one row."""

from __future__ import annotations

from typing import Any

from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.convolution import conv2d, conv_transpose2d
from tinyres.ops.pooling import adaptive_avg_pool2d, avg_pool2d, max_pool2d
from tinyres.ops.shape import INTEGERS, reshape, unsqueeze
from tinyres.refusals.wording import describe


def single(value: Any, name: str) -> int:
    """An integer, or a tuple of one, as an integer."""
    (n,) = value if isinstance(value, (tuple, list)) and len(value) == 1 else (value,)
    if not isinstance(n, INTEGERS):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    return int(n)


@public
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """1-D convolution:  y[n, o, i] = bias[o] + sum_{c,p} x[n, c, i stride - padding + p dilation] w[o, c, p].

    Args:
        input: x, (N, C, L) or (C, L).
        weight: w, (O, C/groups, K).
        bias: (O,) or None.
        padding: an integer, "valid" or "same"; see `conv2d`.

    Returns:
        (N, O, OL) with OL = (L + 2 padding - dilation (K - 1) - 1) // stride + 1.
    """
    x, w = _row("conv1d", input), _row("conv1d", weight)
    margin = padding if isinstance(padding, str) else (0, single(padding, "padding"))
    y = conv2d(x, w, bias, (1, single(stride, "stride")), margin, (1, single(dilation, "dilation")), groups)
    return _line(y)


@public
def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of conv1d; see `conv_transpose2d`. input (N, C, L) or (C, L), weight (C, O/groups, K)."""
    x, w = _row("conv_transpose1d", input), _row("conv_transpose1d", weight)
    steps = (1, single(stride, "stride")), (0, single(padding, "padding"))
    more = (0, single(output_padding, "output_padding"))
    return _line(conv_transpose2d(x, w, bias, *steps, more, groups, (1, single(dilation, "dilation"))))


@public
def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest entry of each window of a signal (N, C, L) or (C, L); arguments as of `max_pool2d`."""
    found = max_pool2d(
        _row("max_pool1d", input), (1, single(kernel_size, "kernel_size")), _step(stride),
        (0, single(padding, "padding")), (1, single(dilation, "dilation")), ceil_mode, return_indices,
    )  # fmt: skip
    return (_line(found[0]), _line(found[1])) if return_indices else _line(found)


@public
def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """The mean of each window of a signal (N, C, L) or (C, L); arguments as of `avg_pool2d`."""
    window = (1, single(kernel_size, "kernel_size")), _step(stride), (0, single(padding, "padding"))
    return _line(avg_pool2d(_row("avg_pool1d", input), *window, ceil_mode, count_include_pad))


@public
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Means over output_size regions that cover the signal, (N, C, L) or (C, L)."""
    return _line(adaptive_avg_pool2d(_row("adaptive_avg_pool1d", input), (1, single(output_size, "output_size"))))


def _step(stride: Any) -> Any:
    return None if stride is None else (1, single(stride, "stride"))


def _row(op: str, x: Any) -> Any:
    """(..., C, L) as (..., C, 1, L)."""
    if x.ndim not in (2, 3):
        raise ValueError(f"{op}: needs three axes, (N, C, L), or two for one sample, got {describe(raw(x))}")
    return unsqueeze(x, -2)


def _line(y: Any) -> Any:
    return reshape(y, (*y.shape[:-2], y.shape[-1]))
