"""Batch norm and its adjoint, one channel at a time."""

from tinyres_kernels.namespace import Array


def batch_norm(x: Array, weight: Array, bias: Array, out: Array, mean: Array, variance: Array, *, eps: float) -> Array:
    """out[m, c] = (x[m, c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c], statistics over m.

    x and out are (M, C), pixels by channels; mean[c] = sum_m x / M and variance[c] = sum_m (x - mean)^2 / M are written
    as well. About 4 M C multiplications. Ioffe & Szegedy 2015.
    """
    M, C = x.shape
    for c in range(C):
        column = [float(x[m, c]) for m in range(M)]
        centre = sum(column) / M
        spread = sum((value - centre) ** 2 for value in column) / M
        mean[c], variance[c] = centre, spread
        for m in range(M):
            out[m, c] = (column[m] - centre) / (spread + eps) ** 0.5 * float(weight[c]) + float(bias[c])
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
    """The adjoint of `batch_norm` at x, the statistics depending on x too. With h = (x - mean) / sqrt(variance + eps),

        dbias = sum g,  dweight = sum g h,  out = weight / sqrt(variance + eps) (g - dbias / M - h dweight / M).

    About 6 M C multiplications.
    """
    M, C = x.shape
    for c in range(C):
        scale = (float(variance[c]) + eps) ** -0.5
        h = [(float(x[m, c]) - float(mean[c])) * scale for m in range(M)]
        total = sum(float(g[m, c]) for m in range(M))
        along = sum(float(g[m, c]) * h[m] for m in range(M))
        dbias[c], dweight[c] = total, along
        for m in range(M):
            out[m, c] = float(weight[c]) * scale * (float(g[m, c]) - total / M - h[m] * along / M)
    return out
