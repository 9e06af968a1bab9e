"""Batch norm and its adjoint in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace


def batch_norm(x: Array, weight: Array, bias: Array, out: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    """`reference.batch_norm` in whole-array operations. About 40 M C bytes in float32."""
    xp = namespace(x, out)
    mean[...] = x.mean(axis=0)
    xp.subtract(x, mean, out=out)
    variance[...] = (out * out).mean(axis=0)
    out *= weight / xp.sqrt(variance + eps)
    out += bias
    return out


def batch_norm_dx(
    g: Array,
    x: Array,
    weight: Array,
    mean: Array,
    variance: Array,
    out: Array,
    dweight: Array,
    dbias: Array,
    *,
    eps: float,
) -> Array:
    """`reference.batch_norm_dx` in whole-array operations. About 60 M C bytes in float32."""
    spread = 1 / namespace(x, out).sqrt(variance + eps)
    h = (x - mean) * spread
    dbias[...] = g.sum(axis=0)
    dweight[...] = (g * h).sum(axis=0)
    h *= dweight / g.shape[0]
    out[...] = g - h
    out -= dbias / g.shape[0]
    out *= weight * spread
    return out
