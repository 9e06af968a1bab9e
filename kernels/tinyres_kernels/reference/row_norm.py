"""Layer norm, RMS norm and their gradients, row by row."""

from math import sqrt

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import LayerNorm


def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, scale: Array, s: LayerNorm
) -> None:
    """Each row with mean 0 and variance 1, then stretched and shifted.

        mean[m]   = (1 / C) sum_c x[m, c]
        scale[m]  = 1 / sqrt((1 / C) sum_c (x[m, c] - mean[m])^2 + eps)
        out[m, c] = (x[m, c] - mean[m]) scale[m] weight[c] + bias[c]

    x and out (M, C), mean and scale (M,), weight and bias (C,); None stands for 1 and 0. 8 M C bytes in float32. Ba et
    al. 2016 [ba2016layer].
    """
    C = x.shape[1]
    factors = [1.0] * C if weight is None else weight.tolist()
    shifts = [0.0] * C if bias is None else bias.tolist()
    for m, row in enumerate(x.tolist()):
        centre = sum(row) / C
        stretch = 1 / sqrt(sum((value - centre) ** 2 for value in row) / C + s.eps)
        mean[m], scale[m] = centre, stretch
        out[m] = [(v - centre) * stretch * f + b for v, f, b in zip(row, factors, shifts, strict=True)]


def layer_norm_dx(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, out: Array, dweight: Array | None,
    dbias: Array | None, s: LayerNorm,
) -> None:  # fmt: skip
    """The gradients of `layer_norm`, from its results mean and scale.

        u[m, c]    = (x[m, c] - mean[m]) scale[m],   d[m, c] = g[m, c] weight[c]
        out[m, c]  = scale[m] (d[m, c] - (1 / C) sum_k d[m, k] - u[m, c] (1 / C) sum_k d[m, k] u[m, k])
        dweight[c] = sum_m g[m, c] u[m, c],   dbias[c] = sum_m g[m, c]

    Shapes as there; g and out as x. dweight and dbias may be None: not wanted. 12 M C bytes in float32.
    """
    M, C = x.shape
    factors = [1.0] * C if weight is None else weight.tolist()
    summed = [[0.0] * C, [0.0] * C]
    for m in range(M):
        slopes, centre, stretch = g[m].tolist(), float(mean[m]), float(scale[m])
        unit = [(value - centre) * stretch for value in x[m].tolist()]
        d = [a * f for a, f in zip(slopes, factors, strict=True)]
        drift, along = sum(d) / C, sum(a * u for a, u in zip(d, unit, strict=True)) / C
        out[m] = [stretch * (a - drift - u * along) for a, u in zip(d, unit, strict=True)]
        for c in range(C):
            summed[0][c] += slopes[c] * unit[c]
            summed[1][c] += slopes[c]
    for found, total in zip((dweight, dbias), summed, strict=True):
        if found is not None:
            found[...] = total


def rms_norm(x: Array, weight: Array | None, out: Array, scale: Array, s: LayerNorm) -> None:
    """Each row with mean square 1, then stretched: a layer norm that keeps the mean.

        scale[m]  = 1 / sqrt((1 / C) sum_c x[m, c]^2 + eps)
        out[m, c] = x[m, c] scale[m] weight[c]

    x and out (M, C), scale (M,), weight (C,); None stands for 1. 8 M C bytes in float32. Zhang & Sennrich 2019
    [zhang2019root].
    """
    C = x.shape[1]
    factors = [1.0] * C if weight is None else weight.tolist()
    for m, row in enumerate(x.tolist()):
        scale[m] = stretch = 1 / sqrt(sum(value * value for value in row) / C + s.eps)
        out[m] = [value * stretch * f for value, f in zip(row, factors, strict=True)]


def rms_norm_dx(
    g: Array, x: Array, weight: Array | None, scale: Array, out: Array, dweight: Array | None, s: LayerNorm
) -> None:
    """The gradients of `rms_norm`, from its result scale.

        u[m, c]    = x[m, c] scale[m],   d[m, c] = g[m, c] weight[c]
        out[m, c]  = scale[m] (d[m, c] - u[m, c] (1 / C) sum_k d[m, k] u[m, k])
        dweight[c] = sum_m g[m, c] u[m, c]

    Shapes as there; g and out as x. dweight may be None: not wanted. 12 M C bytes in float32.
    """
    M, C = x.shape
    factors, summed = [1.0] * C if weight is None else weight.tolist(), [0.0] * C
    for m in range(M):
        slopes, stretch = g[m].tolist(), float(scale[m])
        unit = [value * stretch for value in x[m].tolist()]
        d = [a * f for a, f in zip(slopes, factors, strict=True)]
        along = sum(a * u for a, u in zip(d, unit, strict=True)) / C
        out[m] = [stretch * (a - u * along) for a, u in zip(d, unit, strict=True)]
        summed = [total + a * u for total, a, u in zip(summed, slopes, unit, strict=True)]
    if dweight is not None:
        dweight[...] = summed
