"""Batch normalisation (Ioffe & Szegedy 2015 [ioffe2015batch]), fused with the residual sum and the ReLU after it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinyres_kernels import settings
from tinyres_kernels.geometry import conv_out
from tinyres_kernels.settings import Conv, Norm

from tinyres.arrays import empty, kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.operands import snapshot
from tinyres.autograd.tensor import Tensor, raw, rebind, wrap
from tinyres.context import is_replaying
from tinyres.ops.activation import relu as relu_
from tinyres.ops.convolution import channels_first, channels_last, conv2d_, taps_first
from tinyres.ops.elementwise import sqrt
from tinyres.ops.reduction import mean
from tinyres.ops.shape import reshape


def _per_channel(v, ndim):
    return reshape(v, (1, -1) + (1,) * (ndim - 2))


def _decomposition(x, weight, bias, residual, *, eps, relu, statistics):
    """The decomposition into primitives: what the fused kernels must equal, and what higher orders differentiate."""
    axes = (0, *range(2, x.ndim))
    if statistics is None:
        x = x - _near(
            raw(x), axes
        )  # subtract a constant near the mean: the rest has a small mean, with little rounding
        centred = x - mean(x, axes, keepdims=True)
        variance = mean(centred * centred, axes, keepdims=True)
    else:
        centred, variance = (_per_channel(v, x.ndim) for v in statistics)
        centred = x - centred
    y = centred / sqrt(variance + eps)
    if weight is not None:
        y = y * _per_channel(weight, x.ndim)
    if bias is not None:
        y = y + _per_channel(bias, x.ndim)
    if residual is not None:
        y = y + residual
    return relu_(y) if relu else y


def _near(x, axes):
    """The mean over one pixel of each image: an estimate of the mean of all."""
    xp = namespace(x)
    guess = x[(slice(None), slice(None), *(slice(1),) * (x.ndim - 2))].mean(axes, keepdims=True)
    return xp.where(xp.isfinite(guess), guess, guess.dtype.type(0))


def _rows(x):
    """(N, C), (N, C, L) or (N, C, H, W) as a matrix (M, C) of pixels by channels."""
    if x.ndim == 3:
        x = x[:, :, None]  # an image with one row
    return channels_last(x).reshape(-1, x.shape[1]) if x.ndim == 4 else namespace(x).ascontiguousarray(x)


def _unrows(rows, shape):
    if len(shape) == 2:
        return rows
    if len(shape) == 3:
        return rows.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)
    N, C, H, W = shape
    return channels_first(rows.reshape(N, H, W, C))


def _or(value, default, x):
    return namespace(x).full(x.shape[1], default, x.dtype) if value is None else value.astype(x.dtype, copy=False)


class Running(NamedTuple):
    """The running statistics that a batch updates, those that exist: tensors, which are rebound to new arrays."""

    mean: Tensor | None
    var: Tensor | None
    batches: Tensor | None
    momentum: float

    def arrays(self, dtype: Any) -> settings.Running:
        """The running statistics as kernels take them, in the images' dtype: the old arrays, and new ones to be
        written."""
        held = [None if t is None else raw(t).reshape(-1) for t in self[:3]]  # the counter () becomes (1,)
        held[:2] = [None if a is None else a.astype(dtype, copy=False) for a in held[:2]]
        return settings.Running(*held, *(None if a is None else namespace(a).empty_like(a) for a in held))

    def move(self, arrays: settings.Running) -> None:
        """Rebind the tensors to the new arrays, which the kernel has written."""
        for tensor, array in zip(self[:3], arrays[3:], strict=True):
            if tensor is not None:
                rebind(tensor, array.reshape(tensor.shape).astype(tensor.dtype, copy=False))


@primitive(aux=True, decomposition=_decomposition)
def batch_norm_(x, weight, bias, residual, *, eps, relu, statistics, running, measured=None):
    """statistics: mean and variance as constants, in evaluation. measured: those of the batch, if known already."""
    rows, C, known = _rows(x), x.shape[1], measured or statistics
    centre, variance = (_or(a, 0, x) for a in known) if known else (empty((C,), like=x), empty((C,), like=x))
    other = None if residual is None else _rows(residual).astype(x.dtype, copy=False)
    out, weight, bias = empty(rows.shape, like=x), _or(weight, 1, x), _or(bias, 0, x)
    moving, momentum = (None, 0.0) if running is None else (running.arrays(x.dtype), running.momentum)
    how = Norm(eps, known is None, relu, momentum)
    kernels_for(x).batch_norm(rows, weight, bias, other, out, centre, variance, moving, how)
    if running is not None:
        running.move(moving)
    return _unrows(out, x.shape), (centre, variance)


def _joint(g, x, weight, bias, residual, y, aux, eps, relu, statistics):
    """The first-order rule, a fused kernel. The statistics are numbers to it; the decomposition differentiates them."""
    centre, variance = aux
    rows, C = _rows(x), x.shape[1]
    dx, dweight, dbias = empty(rows.shape, like=x), empty((C,), like=x), empty((C,), like=x)
    dresidual = None if residual is None else empty(rows.shape, like=x)
    signs = None if residual is None else _rows(y)
    weight, bias = _or(weight, 1, x), _or(bias, 0, x)
    kernels_for(x).batch_norm_dx(
        _rows(g), rows, signs, weight, bias, centre, variance, dx, dweight, dbias, dresidual,
        Norm(eps, statistics is None, relu),
    )  # fmt: skip
    return _unrows(dx, x.shape), dweight, dbias, None if dresidual is None else _unrows(dresidual, x.shape)


batch_norm_.vjp_joint(_joint)


@public
def batch_norm(
    x: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    residual: Any = None,
    relu: bool = False,
    num_batches_tracked: Tensor | None = None,
) -> Any:
    """Batch normalisation: y = (x - mean) / sqrt(var + eps) * weight + bias, with mean and var per channel.

    `residual` and `relu` fuse what often follows into the same pass over memory: y = max(y + residual, 0).

    In training mean and var are those of the batch, and the gradient flows through them. The running ones move by
    `momentum` towards them (to the unbiased variance), and num_batches_tracked counts the batch. In evaluation the
    running ones are used, as constants.

    The mean is rounded to x's dtype: for float32 data around 1e4, y is off by up to 5e-4.

    Args:
        x: (N, C), (N, C, L) or (N, C, H, W).
        running_mean, running_var, weight, bias: (C,) or None; the running ones are rebound, never written into.
        residual: of the shape of x (never broadcast), or None.
        num_batches_tracked: an integer without axes, or None; rebound as well.

    Raises:
        ValueError: training with fewer than two values per channel, whose variance and gradient would be 0.
    """
    if x.ndim not in (2, 3, 4):
        raise ValueError(f"batch_norm: needs (N, C), (N, C, L) or (N, C, H, W), got shape {tuple(x.shape)}")
    if residual is not None and residual.shape != x.shape:
        raise ValueError(
            f"batch_norm: residual must have the shape {tuple(x.shape)} of x, got {tuple(residual.shape)}: "
            "use a projection, e.g. a 1x1 convolution"
        )
    for name, given in (
        ("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)
    ):  # fmt: skip
        if given is not None and given.shape != x.shape[1:2]:
            raise ValueError(
                f"batch_norm: {name} must have the shape {tuple(x.shape[1:2])}, one number per channel, "
                f"got {tuple(given.shape)}"
            )
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        statistics = tuple(raw(v) if isinstance(v, Tensor) else snapshot(v) for v in (running_mean, running_var))
        return batch_norm_(x, weight, bias, residual, eps=eps, relu=relu, statistics=statistics, running=None)
    count = x.size // x.shape[1] if x.shape[1] else 0
    if count < 2:
        raise ValueError(
            f"batch_norm: {tuple(x.shape)} has {count} value(s) a channel, training needs at least 2: "
            "use a larger batch, or .eval()"
        )
    running = None if is_replaying() else Running(running_mean, running_var, num_batches_tracked, momentum)
    return batch_norm_(x, weight, bias, residual, eps=eps, relu=relu, statistics=None, running=running)


def measured_conv2d(x: Tensor, w: Tensor, geometry: Conv, running: Running | None) -> tuple[Tensor, Any]:
    """conv2d fused with the statistics of its output: (y, (mean, variance)) for `batch_norm_`, on kernel sets that have
    `conv2d_statistics`. It also updates the running statistics."""
    image = raw(x)
    found = empty(w.shape[:1], like=image), empty(w.shape[:1], like=image)
    moving, momentum = (None, 0.0) if running is None else (running.arrays(image.dtype), running.momentum)
    measuring = kernels_for(image).conv2d_statistics

    def kernel(x: Any, w: Any, out: Any, s: Conv) -> Any:
        return measuring(x, w, out, *found, moving, s, momentum)

    y = conv2d_(x, w, geometry=geometry, kernel=kernel)
    if running is not None and moving is not None:
        running.move(moving)
    return y, found


def conv2d_norm(
    x: Tensor,
    w: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    geometry: Conv,
    *,
    residual: Tensor | None,
    relu: bool,
) -> Tensor:
    """conv2d fused with batch_norm in evaluation, unrecorded, on kernel sets that have `conv2d_norm`."""
    (N, _, H, W), (O, _, KH, KW) = x.shape, w.shape
    stride, padding, dilation, _ = geometry
    OH = conv_out(H, KH, stride[0], padding[0], dilation[0])
    OW = conv_out(W, KW, stride[1], padding[1], dilation[1])
    image, added = raw(x), None if residual is None else channels_last(raw(residual))
    out = empty((N, OH, OW, O), like=image)
    per_channel = [
        namespace(image).full(O, 1 - i, image.dtype) if v is None else raw(v) for i, v in enumerate((weight, bias))
    ]
    kernels_for(image).conv2d_norm(
        channels_last(image), taps_first(raw(w)), out, *per_channel, raw(running_mean), raw(running_var), added,
        geometry, Norm(eps, training=False, relu=relu),
    )  # fmt: skip
    return wrap(channels_first(out))
