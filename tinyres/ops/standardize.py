"""Normalisations of single samples, composed of means: by layer, by group of channels, by channel; and lengths.

    y = (x - mean) / sqrt(var + eps) * weight + bias

with mean and (biased) variance of one sample's entries, so that samples do not influence each other. They are rounded
to x's dtype: for float32 data around 1e4, y is off by some 1e-3, one or two units in the mean's last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinyres.autograd.calling import public
from tinyres.autograd.tensor import Tensor, raw, rebind
from tinyres.context import is_replaying
from tinyres.ops.elementwise import where
from tinyres.ops.layer_norm import LONGEST, affine, layer_norm_, rms_norm_, rooted, standardized
from tinyres.ops.normalization import batch_norm
from tinyres.ops.norms import vector_norm
from tinyres.ops.reduction import sum
from tinyres.ops.shape import expand, reshape
from tinyres.refusals.wording import describe


@public
def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalise each sample over its last axes, whose sizes are normalized_shape (Ba et al. 2016 [ba2016layer]).

    Shapes: input (..., *normalized_shape), weight and bias normalized_shape.

    Raises:
        ValueError: the input does not end in normalized_shape.
    """
    own = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not own or tuple(input.shape[-len(own) :]) != own:
        needed = ", ".join(["...", *map(str, own)])
        raise ValueError(f"layer_norm: input must have shape ({needed}), got {describe(raw(input))}")
    if len(own) == 1 and own[0] <= LONGEST and _alike(input, weight, bias):
        return layer_norm_(input, weight, bias, eps=eps)
    return affine(standardized(input, tuple(range(input.ndim - len(own), input.ndim)), eps), weight, bias)


def _alike(x: Any, *parameters: Any) -> bool:
    """Whether x are floats, and parameters of the last axis have their dtype."""
    return x.dtype.kind == "f" and all(
        p is None or (p.dtype == x.dtype and tuple(p.shape) == tuple(x.shape[-1:])) for p in parameters
    )


@public
def rms_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """x / sqrt(mean of x^2 + eps) * weight over the last axes; eps defaults to the precision of x's dtype.

    Zhang & Sennrich 2019 [zhang2019root]. A sample of infinities gives NaN.
    """
    own = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not own or tuple(input.shape[-len(own) :]) != own:
        needed = ", ".join(["...", *map(str, own)])
        raise ValueError(f"rms_norm: input must have shape ({needed}), got {describe(raw(input))}")
    axes = tuple(range(input.ndim - len(own), input.ndim))
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    if len(own) == 1 and own[0] <= LONGEST and _alike(input, weight):
        return rms_norm_(input, weight, eps=eps)
    return affine(rooted(input, axes, eps), weight, None)


@public
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Normalise each sample over groups of its channels, C / num_groups in each (Wu & He 2018 [wu2018group]).

    Shapes: input (N, C, ...), weight and bias (C,).

    Raises:
        ValueError: num_groups does not divide C, or a weight has another shape.
    """
    if input.ndim < 2 or num_groups < 1 or input.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: needs (N, C, ...) with C divisible by num_groups={num_groups}, got {describe(raw(input))}"
        )
    shape = tuple(input.shape)
    grouped = reshape(input, (shape[0], num_groups, shape[1] // num_groups, *shape[2:]))
    y = reshape(standardized(grouped, tuple(range(2, grouped.ndim)), eps), shape)
    return affine(y, *_per_channel("group_norm", y, weight, bias))


@public
def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each sample over its pixels (Ulyanov et al. 2016 [ulyanov2016instance]).

    Shapes: input (N, C, L) or (N, C, H, W), the others (C,).

    Args:
        running_mean, running_var: moved by `momentum` towards the means, over the samples, of mean and unbiased
            variance; rebound, never written into.
        use_input_stats: if not, the running statistics are used, as constants.

    Raises:
        ValueError: there is only one pixel, or there are no statistics.
    """
    if input.ndim < 3:
        raise ValueError(f"instance_norm: needs (N, C, L) or (N, C, H, W), got {describe(raw(input))}")
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, training=False, eps=eps)
    axes, pixels = tuple(range(2, input.ndim)), math.prod(input.shape[2:])
    if pixels < 2:
        raise ValueError(f"instance_norm: needs at least two pixels to take a variance of, got {describe(raw(input))}")
    if running_mean is not None and running_var is not None and not is_replaying():
        x = raw(input)
        for running, found in ((running_mean, x.mean(axes)), (running_var, x.var(axes, ddof=1))):
            rebind(running, ((1 - momentum) * raw(running) + momentum * found.mean(0)).astype(running.dtype))
    y = standardized(input, axes, eps)
    return affine(y, *_per_channel("instance_norm", y, weight, bias))


@public
def normalize(input: Any, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12) -> Any:
    """x / max(|x|_p, eps) along `dim`: vectors of length 1 in the p-norm."""
    return input / _length(input, p, dim, eps)


@public
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """<x1, x2> / (max(|x1|, eps) max(|x2|, eps)) along `dim`, which is counted after the two are broadcast."""
    shape = np.broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
    x1, x2 = (x if tuple(x.shape) == shape else expand(x, shape) for x in (x1, x2))
    return sum(x1 / _length(x1, 2.0, dim, eps) * (x2 / _length(x2, 2.0, dim, eps)), dim)


def _length(x: Any, p: float, dim: Any, eps: float) -> Any:
    """max(|x|_p, eps) along `dim`, kept."""
    length = vector_norm(x, p, dim, keepdim=True)
    return where(length > eps, length, eps)


def _per_channel(op: str, y: Any, *parameters: Any) -> Any:
    """(C,) as (C, 1, ...), to be broadcast along the channels."""
    for p in parameters:
        if p is not None and tuple(p.shape) != y.shape[1:2]:
            raise ValueError(f"{op}: weight and bias must have shape ({y.shape[1]},), got {describe(raw(p))}")
    return [None if p is None else reshape(p, (-1, *(1,) * (y.ndim - 2))) for p in parameters]


__all__ = [
    "cosine_similarity", "group_norm", "instance_norm", "layer_norm", "normalize", "rms_norm",
]  # fmt: skip
