"""Layer norm (Ba et al. 2016 [ba2016layer]) and RMS norm over the last axis, in one pass over memory."""

from __future__ import annotations

from typing import Any

from tinyres_kernels.settings import LayerNorm

from tinyres.arrays import empty, kernels_for
from tinyres.autograd.calling import primitive
from tinyres.ops.elementwise import sqrt
from tinyres.ops.reduction import mean

LONGEST = 4096  # entries of a row; sums of more are left to `sum_`, which rounds them with more care


def standardized(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """(x - mean) / sqrt(var + eps) over the axes."""
    x = x - mean(x, axes, keepdims=True)
    # One division for each sample, then products: they are cheaper than a division for each entry, also backward.
    return x * (1 / sqrt(mean(x * x, axes, keepdims=True) + eps))


def affine(y: Any, weight: Any, bias: Any) -> Any:
    """y weight + bias, as far as there are any."""
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _decomposition(x, weight, bias, *, eps):
    return affine(standardized(x, (x.ndim - 1,), eps), weight, bias)


def _rows(x):
    return x.reshape(-1, x.shape[-1])


@primitive(aux=True, decomposition=_decomposition)
def layer_norm_(x, weight, bias, *, eps):
    rows = _rows(x)
    out = empty(rows.shape, like=rows)
    mean, scale = (empty((len(rows),), like=rows) for _ in range(2))
    kernels_for(rows).layer_norm(rows, weight, bias, out, mean, scale, LayerNorm(eps))
    return out.reshape(x.shape), (mean, scale)


def _joint(g, x, weight, bias, aux, eps):
    rows = _rows(x)
    dx = empty(rows.shape, like=rows)
    dweight, dbias = (None if p is None else empty(p.shape, like=p) for p in (weight, bias))
    kernels_for(rows).layer_norm_dx(_rows(g), rows, weight, *aux, dx, dweight, dbias, LayerNorm(eps))
    return dx.reshape(x.shape), dweight, dbias


layer_norm_.vjp_joint(_joint)


def rooted(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """x / sqrt(mean of x^2 + eps) over the axes."""
    return x * (1 / sqrt(mean(x * x, axes, keepdims=True) + eps))


def _rms_decomposition(x, weight, *, eps):
    return affine(rooted(x, (x.ndim - 1,), eps), weight, None)


@primitive(aux=True, decomposition=_rms_decomposition)
def rms_norm_(x, weight, *, eps):
    rows = _rows(x)
    out, scale = empty(rows.shape, like=rows), empty((len(rows),), like=rows)
    kernels_for(rows).rms_norm(rows, weight, out, scale, LayerNorm(eps))
    return out.reshape(x.shape), scale


def _rms_joint(g, x, weight, aux, eps):
    rows = _rows(x)
    dx, dweight = empty(rows.shape, like=rows), None if weight is None else empty(weight.shape, like=weight)
    kernels_for(rows).rms_norm_dx(_rows(g), rows, weight, aux, dx, dweight, LayerNorm(eps))
    return dx.reshape(x.shape), dweight


rms_norm_.vjp_joint(_rms_joint)
