"""Layer normalisation (Ba et al. 2016 [ba2016layer]) over the last axis, in few passes over memory."""

from __future__ import annotations

from typing import Any

from tinyres.arrays import namespace
from tinyres.autograd.calling import primitive
from tinyres.ops.elementwise import sqrt
from tinyres.ops.reduction import mean, sum_

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
    return namespace(x).ascontiguousarray(x).reshape(-1, x.shape[-1])


@primitive(aux=True, decomposition=_decomposition)
def layer_norm_(x, weight, bias, *, eps):
    xp, n = namespace(x), x.shape[-1]
    rows = _rows(x)
    unit = rows - rows.mean(axis=1, keepdims=True)
    scale = 1 / xp.sqrt(xp.einsum("mn,mn->m", unit, unit) / n + eps)
    unit *= scale[:, None]
    y = unit if weight is None else unit * weight
    if bias is not None and y is unit:
        y = unit + bias
    elif bias is not None:
        y += bias
    return y.reshape(x.shape), (unit, scale)


def _joint(g, x_shape, weight, bias, aux, eps):
    """With u the standardised row: dx = scale (d - mean d - u mean(d u)), d = g weight."""
    unit, scale = aux
    xp, n, rows = namespace(g), x_shape[-1], _rows(g)
    dbias = None if bias is None else sum_(rows, axis=(0,), keepdims=False)
    dweight = None if weight is None else sum_(rows * unit, axis=(0,), keepdims=False)
    d = rows.copy() if weight is None else rows * weight
    along = xp.einsum("mn,mn->m", d, unit) / n
    d -= d.mean(axis=1, keepdims=True)
    d -= unit * along[:, None]
    d *= scale[:, None]
    return d.reshape(x_shape), dweight, dbias


layer_norm_.vjp_joint(_joint)
