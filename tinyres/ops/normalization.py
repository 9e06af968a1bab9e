"""Batch normalisation (Ioffe & Szegedy 2015): a fused operation, with the composition it must equal."""

from __future__ import annotations

from typing import Any

from tinyres.autograd.primitive import primitive, public
from tinyres.backend import kernels_for, namespace
from tinyres.context import is_replaying
from tinyres.ops.convolution import channels_first, channels_last
from tinyres.ops.elementwise import sqrt
from tinyres.ops.reduction import mean
from tinyres.ops.shape import reshape
from tinyres.tensor import Tensor


def _per_channel(v, ndim):
    return reshape(v, (1, -1) + (1,) * (ndim - 2))


def _reference(x, weight, bias, *, eps):
    """The definition, which the fused rules must equal; what is differentiated for orders above the first."""
    axes = (0, *range(2, x.ndim))
    centred = x - mean(x, axes, keepdims=True)
    y = centred / sqrt(mean(centred * centred, axes, keepdims=True) + eps)
    if weight is not None:
        y = y * _per_channel(weight, x.ndim)
    return y if bias is None else y + _per_channel(bias, x.ndim)


def _rows(x):
    """(N, C) or (N, C, H, W) as a matrix (M, C) of pixels by channels."""
    return channels_last(x).reshape(-1, x.shape[1]) if x.ndim == 4 else namespace(x).ascontiguousarray(x)


def _unrows(rows, shape):
    if len(shape) == 2:
        return rows
    N, C, H, W = shape
    return channels_first(rows.reshape(N, H, W, C))


def _or(value, default, x):
    return namespace(x).full(x.shape[1], default, x.dtype) if value is None else value


@primitive(aux=True, reference=_reference)
def batch_norm_(x, weight, bias, *, eps, on_statistics):
    xp, rows = namespace(x), _rows(x)
    out, centre, variance = xp.empty_like(rows), xp.empty(x.shape[1], x.dtype), xp.empty(x.shape[1], x.dtype)
    kernels_for(x).batch_norm(rows, _or(weight, 1, x), _or(bias, 0, x), out, centre, variance, eps=eps)
    if on_statistics is not None:
        on_statistics(centre, variance, rows.shape[0])
    return _unrows(out, x.shape), (centre, variance)


def _joint(g, x, weight, aux, eps):
    """First order only: the kernel takes the statistics as they came out, which are no constants to the reference."""
    centre, variance = aux
    xp, rows = namespace(x), _rows(x)
    dx, dweight, dbias = xp.empty_like(rows), xp.empty_like(centre), xp.empty_like(centre)
    kernels_for(x).batch_norm_dx(_rows(g), rows, _or(weight, 1, x), centre, variance, dx, dweight, dbias, eps=eps)
    return _unrows(dx, x.shape), dweight, dbias


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
) -> Any:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, a mean and a variance for each channel.

    In training these are the batch's own, and the gradient passes through them; the running ones move by `momentum`
    towards the batch's (the variance towards the unbiased one). Otherwise the running ones are used, as constants.

    Args:
        x: (N, C) or (N, C, H, W).
        running_mean, running_var, weight, bias: (C,) or None; the running ones are rebound, never written into.

    Raises:
        ValueError: fewer than two values a channel in training (their variance is 0, and so is the gradient).
    """
    if x.ndim not in (2, 4):
        raise ValueError(f"batch_norm: needs (N, C) or (N, C, H, W), got shape {tuple(x.shape)}")
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training it needs running_mean and running_var")
        scale = 1 / sqrt(running_var + eps)
        if weight is not None:
            scale = scale * weight
        # The mean first: x * scale - mean * scale would cancel where the mean is large.
        y = (x - _per_channel(running_mean, x.ndim)) * _per_channel(scale, x.ndim)
        return y if bias is None else y + _per_channel(bias, x.ndim)

    def update(centre: Any, variance: Any, count: int) -> None:
        if running_mean is not None:
            running_mean.data = (1 - momentum) * running_mean.data + momentum * centre
        if running_var is not None:
            running_var.data = (1 - momentum) * running_var.data + momentum * (count / (count - 1)) * variance

    count = x.size // x.shape[1] if x.shape[1] else 0
    if count < 2:
        raise ValueError(
            f"batch_norm: {tuple(x.shape)} has {count} value(s) a channel, training needs at least 2: "
            "use a larger batch, or .eval()"
        )
    return batch_norm_(x, weight, bias, eps=eps, on_statistics=None if is_replaying() else update)
