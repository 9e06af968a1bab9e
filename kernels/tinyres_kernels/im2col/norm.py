"""Batch norm with the residual sum and the ReLU that follow it, and its adjoint, in whole-array operations."""

from math import isqrt

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Norm, Running

NEAR = 64  # rows for a first guess at the mean


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
    """`reference.batch_norm`. About 40 M C bytes in float32, 12 more for the sum and 8 for the ReLU.

    The sums are of d = x - a, where a is the mean of some rows: then nothing cancels in mean = a + sum of d / M and in
    variance = sum of d^2 / M - (mean - a)^2, however large the data's mean is beside its spread.
    """
    xp = namespace(x, out)
    near = _near(x) if s.training else mean
    xp.subtract(x, near, out=out)
    drift = 0
    if s.training:
        offset = _total(out) / x.shape[0]
        mean[...] = near + offset
        variance[...] = xp.maximum(_total(out * out) / x.shape[0] - offset**2, 0)
        drift = mean - near  # the mean as it is kept, rounded: the adjoint takes its ReLU's signs from it
        move(mean, variance, running or Running(), s.momentum, x.shape[0])
    scale = weight / xp.sqrt(variance + s.eps)
    out *= scale
    out += bias - drift * scale
    if residual is not None:
        out += residual
    if s.relu:
        xp.maximum(out, 0, out=out)


def move(mean: Array, variance: Array, running: Running, momentum: float, pixels: int) -> None:
    """Running mean, variance and number of batches, as far as there are any, towards those of this batch."""
    xp = namespace(mean)
    if running.new_mean is not None:
        xp.multiply(running.mean, 1 - momentum, out=running.new_mean)
        xp.add(running.new_mean, momentum * mean, out=running.new_mean)
    if running.new_var is not None:
        xp.multiply(running.var, 1 - momentum, out=running.new_var)
        xp.add(running.new_var, momentum * (pixels / (pixels - 1)) * variance, out=running.new_var)
    if running.new_batches is not None:
        xp.add(running.batches, 1, out=running.new_batches)


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
    """`reference.batch_norm_dx`. About 60 M C bytes in float32, 12 more for the ReLU."""
    xp = namespace(x, out)
    spread = 1 / xp.sqrt(variance + s.eps)
    if s.relu:
        plain = (x - mean) * (weight * spread) + bias if y is None else y
        g = xp.where(plain > 0, g, g.dtype.type(0))
    if dresidual is not None:
        dresidual[...] = g
    h = (x - mean) * spread
    dbias[...] = _total(g)
    dweight[...] = _total(g * h)
    out[...] = g
    if s.training:
        h *= dweight / g.shape[0]
        out -= h
        out -= dbias / g.shape[0]
    out *= weight * spread


def _near(x: Array) -> Array:
    """The mean of a few rows from all over x: a first guess at that of all."""
    xp = namespace(x)
    guess = x[:: max(1, x.shape[0] // NEAR)].mean(axis=0)
    return xp.where(xp.isfinite(guess), guess, guess.dtype.type(0))


def _total(a: Array) -> Array:
    """The sum over all pixels, (M, C) -> (C,), in two steps of about the square root of M terms.

    NumPy adds row to row: over 500,000 pixels, a sum of squares would be off by 250 roundings.
    """
    M, C = a.shape
    step = isqrt(M) or 1
    blocks = M // step
    return a[: blocks * step].reshape(blocks, step, C).sum(axis=1).sum(axis=0) + a[blocks * step :].sum(axis=0)
