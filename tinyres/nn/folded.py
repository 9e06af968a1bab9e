"""A convolution and the batch norm behind it, with one kernel less between them."""

from __future__ import annotations

from typing import Any

from tinyres_kernels.geometry import conv_out
from tinyres_kernels.settings import Conv

from tinyres.arrays import kernels_for
from tinyres.autograd.tensor import Tensor, raw
from tinyres.context import context, current, is_replaying, layers_are_watched
from tinyres.nn.convolution import Conv2d
from tinyres.nn.module import Module, is_just
from tinyres.nn.norm import BatchNorm2d
from tinyres.ops.convolution import pair
from tinyres.ops.normalization import Running, batch_norm_, conv2d_norm, measured_conv2d


def folded(conv: Module, norm: Module | None, x: Any, residual: Any = None, relu: bool = False) -> Any:
    """max(norm(conv(x)) + residual, 0), each part if asked for; None where nothing is to be gained, or known.

    In evaluation it is one call of a kernel, where nothing is recorded. In training the convolution's kernel finds mean
    and variance of its own result, for the norm. Only CUDA has such kernels, only layers that are no subclasses are
    known to do no more than this, and whoever watches is to see both.
    """
    here = current()
    if layers_are_watched() or not isinstance(conv, Conv2d) or not isinstance(norm, BatchNorm2d):
        return None
    if not isinstance(x, Tensor) or not hasattr(kernels_for(raw(x)), "conv2d_norm"):
        return None  # as always on the CPU, where a small net's step asks a hundred times
    if not is_just(conv, Conv2d) or not is_just(norm, BatchNorm2d) or conv.bias is not None:
        return None
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        return None
    if x.ndim != 4 or x.shape[1] != conv.in_channels:
        return None
    if norm.num_features != conv.out_channels:
        return None
    kept = [t for t in (norm.running_mean, norm.running_var) if t is not None]
    given = [t for t in (x, conv.weight, residual, *kept) if t is not None]
    kernels = kernels_for(*map(raw, given))
    if len({t.dtype for t in given}) > 1 or not hasattr(kernels, "conv2d_norm"):
        return None
    if norm.training or not kept:
        return _measured(conv, norm, x, residual, relu)
    if here.recording or here.observers:  # the kernel for both is no operation that an observer could see
        return None
    assert norm.running_mean is not None  # without a batch's statistics, there are both
    assert norm.running_var is not None
    return conv2d_norm(
        x, conv.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps, _geometry(conv),
        residual=residual, relu=relu,
    )  # fmt: skip


def _geometry(conv: Conv2d) -> Conv:
    return Conv(
        pair(conv.stride, "stride"), pair(conv.padding, "padding"), pair(conv.dilation, "dilation"), conv.groups
    )


def _measured(conv: Conv2d, norm: BatchNorm2d, x: Tensor, residual: Tensor | None, relu: bool) -> Any:
    """The two operations that the two layers are, of which the second is told the statistics of its batch."""
    geometry = _geometry(conv)
    sizes = zip(x.shape[2:], conv.kernel_size, *geometry[:3], strict=True)
    rows, columns = (conv_out(*numbers) for numbers in sizes)
    shape = x.shape[0], conv.out_channels, rows, columns
    if x.shape[0] * rows * columns < 2 or (residual is not None and residual.shape != shape):
        return None  # the layers say why not, and no statistic has moved
    moving = Running(norm.running_mean, norm.running_var, norm.num_batches_tracked, norm.momentum)
    outer = current().path
    with context(path=conv._inside(outer)):
        y, measured = measured_conv2d(x, conv.weight, geometry, None if is_replaying() else moving)
    with context(path=norm._inside(outer)):
        z = batch_norm_(
            y, norm.weight, norm.bias, residual, eps=norm.eps, relu=relu, statistics=None, running=None,
            measured=measured,
        )  # fmt: skip
    if residual is not None and getattr(z, "node", None) is not None:
        z.node.roles = ("branch", None, None, "skip")
    return z


__all__ = ["folded"]
