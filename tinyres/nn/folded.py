"""A convolution and the batch norm behind it, in evaluation."""

from __future__ import annotations

from typing import Any

from tinyres.backend import kernels_for
from tinyres.context import current
from tinyres.nn.layers import Conv2d
from tinyres.nn.module import Module, is_just
from tinyres.nn.norm import BatchNorm2d
from tinyres.ops.normalization import conv2d_norm
from tinyres.tensor import Tensor, raw


def folded(conv: Module, norm: Module | None, x: Any, residual: Any = None, relu: bool = False) -> Any:
    """max(norm(conv(x)) + residual, 0), each part if asked for, in one call of a kernel; None where that cannot be.

    It can where nobody asks for what lies in between: nothing is recorded, nobody watches, and the statistics are the
    running ones. Only CUDA has such a kernel, and only layers that are no subclasses are known to do no more than this.
    """
    here = current()
    if here.recording or here.observers or here.anomaly:
        return None
    if not isinstance(conv, Conv2d) or not isinstance(norm, BatchNorm2d):
        return None
    if not is_just(conv, Conv2d) or not is_just(norm, BatchNorm2d):
        return None
    given = [t for t in (x, conv.weight, residual) if t is not None]
    if (
        norm.training
        or norm.running_mean is None
        or norm.running_var is None
        or conv.bias is not None
        or not isinstance(x, Tensor)
    ):
        return None
    if x.ndim != 4 or x.shape[1] != conv.in_channels or norm.num_features != conv.out_channels:
        return None
    if len({t.dtype for t in given}) > 1 or not hasattr(kernels_for(*map(raw, given)), "conv2d_norm"):
        return None
    return conv2d_norm(
        x, conv.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps, conv.stride,
        conv.padding, conv.dilation, conv.groups, residual=residual, relu=relu,
    )  # fmt: skip


__all__ = ["folded"]
