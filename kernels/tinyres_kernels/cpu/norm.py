"""Batch norm as a few streaming passes; arithmetic is cheap here, and memory traffic is what counts."""

import numpy as np

from tinyres_kernels.cpu import rows
from tinyres_kernels.cpu.choices import Choices
from tinyres_kernels.cpu.memory import flat, native
from tinyres_kernels.cpu.plan import PLANNERS, Machine, Plan, Shape, decide
from tinyres_kernels.guard import poison
from tinyres_kernels.im2col.norm import move
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Norm, Running

APART = 64  # numbers between what belongs to one thread and to the next
NEAR = 64  # rows whose mean is the first guess at the mean of all


def _wide(a: Array, fold: int) -> Array:
    """(M, C) as (M / fold, fold C): longer rows give the sums independent chains to run in."""
    return flat(a).reshape(a.shape[0] // fold, fold * a.shape[1])


def _plan(shapes: tuple[Shape | None, ...], itemsize: int, machine: Machine, choices: Choices, s: Norm) -> Plan:
    """how: how many rows are taken as one."""
    assert shapes[0] is not None
    M, C = shapes[0]
    fold = next((f for f in (16, 8, 4, 2) if M % f == 0 and f * C <= choices.limit("fold")), 1)
    traits = ("rows as they are" if fold == 1 else "rows folded",)
    return Plan("passes", traits, machine.threads_for(8 * M * C, choices), fold)


PLANNERS |= dict.fromkeys(("batch_norm", "batch_norm_dx"), _plan)


def _tiles(fold: int, dtype: np.dtype, *vectors: Array) -> Array:
    """Each of the vectors (C,), `fold` times behind itself."""
    tiles = np.empty((len(vectors), fold, len(vectors[0])), dtype)
    for tile, vector in zip(tiles, vectors, strict=True):
        tile[...] = vector
    return tiles.reshape(len(vectors), -1)


def _shares(count: int, width: int, dtype: np.dtype) -> tuple[Array, Array]:
    """What each thread sums up, in rows longer than needed: two threads that write to one cache line wait for each
    other at every row."""
    shape = (count, 2, width + APART)
    return poison(np.empty(shape, dtype)), poison(np.empty(shape))


def _total(shares: Array, fold: int, channels: int) -> Array:
    """The sums of all threads, then of folded rows, added up: (2, C). By the ufunc, which a small net's step calls
    hundreds of times: `sum` takes twice as long."""
    summed = shares[0] if len(shares) == 1 else np.add.reduce(shares, 0)
    total: Array = np.add.reduce(summed[:, : fold * channels].reshape(2, fold, channels), 1)
    return total


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    residual: Array | None,
    out: Array,
    mean: Array,
    variance: Array,
    running: Running | None,
    s: Norm,
) -> None:
    """`reference.batch_norm` in two passes: the statistics, the result. 12 M C bytes in float32, 4 more for the sum.

    One pass finds mean and variance from sums of d = x - a and of d^2, where a is a mean of a few rows: sum of
    (x - mean)^2 = sum of d^2 - (sum of d)^2 / M, in which nothing cancels as long as a is near the mean.
    """
    x = native(x)
    M, C = x.shape
    plan = decide("batch_norm", (x.shape,), x.itemsize)
    fold, count = plan.how, plan.threads
    wide = _wide(x, fold)
    if s.training:
        centre = np.add.reduce(x[:NEAR], 0)
        centre /= min(NEAR, M)
        centre[~np.isfinite(centre)] = 0
        near, shares = _shares(count, fold * C, x.dtype)
        rows.moments(count, wide, _tiles(fold, x.dtype, centre)[0], near, shares)
        total, square = _total(shares, fold, C)
        drift = total / M
        mean[...] = centre + drift
        variance[...] = np.maximum(square / M - drift * drift, 0)
        move(mean, variance, running or Running(), s.momentum, M)
    scale = weight / np.sqrt(variance + s.eps)
    centre, scale, shift = _tiles(fold, x.dtype, mean, scale, bias)
    other = wide if residual is None else _wide(residual, fold)
    rows.normalise(count, wide, other, centre, scale, shift, _wide(out, fold), residual is not None, s.relu)


def batch_norm_dx(
    g: Array,
    x: Array,
    y: Array | None,
    weight: Array,
    bias: Array,
    mean: Array,
    variance: Array,
    out: Array,
    dweight: Array,
    dbias: Array,
    dresidual: Array | None,
    s: Norm,
) -> None:
    """`reference.batch_norm_dx` in two passes: the two sums, then the result. 20 M C bytes in float32, 8 more where y
    is read, 4 for `dresidual`. Where there is no y, the pixels that the ReLU let pass are found again from x, by the
    very arithmetic of the forward pass: cheaper than reading them."""
    x = native(x)
    M, C = x.shape
    plan = decide("batch_norm_dx", (x.shape,), x.itemsize)
    fold, count = plan.how, plan.threads
    mask = 0 if not s.relu else 1 if y is not None else 2
    g_rows, x_rows, y_rows, result = (_wide(a, fold) for a in (g, x, x if y is None else y, out))
    store = mask == 1 and dresidual is not None
    passed = _wide(dresidual, fold) if store else result
    forward = weight / np.sqrt(variance + s.eps), bias
    centre, slope, shift = _tiles(fold, x.dtype, mean, *forward)
    near, shares = _shares(count, fold * C, x.dtype)
    rows.products(count, g_rows, x_rows, y_rows, centre, slope, shift, passed, near, shares, store, mask)
    if store:
        g_rows, mask = passed, 0
    elif dresidual is not None:  # no ReLU: it is g itself; or the signs follow from x, in one pass too few for it
        plain = (x - mean) * forward[0].astype(x.dtype) + bias
        dresidual[...] = np.where(plain > 0, g, g.dtype.type(0)) if mask else g
    spread = 1 / np.sqrt(variance.astype(np.float64) + s.eps)
    total, along = _total(shares, fold, C)
    dbias[...] = total
    dweight[...] = along * spread
    along, drift, scale = _tiles(fold, x.dtype, along * spread**2 / M, total / M, weight * spread)
    rows.combine(count, g_rows, x_rows, y_rows, centre, slope, shift, along, drift, scale, result, s.training, mask)
