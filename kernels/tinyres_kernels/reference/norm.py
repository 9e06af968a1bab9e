"""Batch norm with the residual sum and the ReLU that follow it, and its adjoint, one channel at a time."""

from tinyres_kernels.geometry import check_norm
from tinyres_kernels.namespace import Array


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    residual: Array | None,
    out: Array,
    mean: Array,
    variance: Array,
    *,
    eps: float,
    training: bool,
    relu: bool,
) -> Array:
    """Every channel brought to mean 0 and variance 1, scaled and shifted; then, if asked for, a sum and a ReLU.

        out[m, c] = f( (x[m, c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c] + residual[m, c] )

    with f = max(., 0) where `relu`, else the identity. In training the statistics are those of the batch, and written:
    mean[c] = sum_m x / M, variance[c] = sum_m (x - mean)^2 / M. Otherwise they are read.

    x, out and residual (or None) are (M, C), pixels by channels; the others (C,). NaN passes through the ReLU.
    Cost: 4 M C multiplications; x read twice in training and once otherwise, residual once, out written once.
    Ioffe & Szegedy 2015, "Batch normalization".
    """
    check_norm(x=x, out=out, residual=residual, weight=weight, bias=bias, mean=mean, variance=variance)
    M, C = x.shape
    for c in range(C):
        column = [float(x[m, c]) for m in range(M)]
        if training:
            mean[c] = centre = sum(column) / M
            variance[c] = spread = sum((value - centre) ** 2 for value in column) / M
        else:
            centre, spread = float(mean[c]), float(variance[c])
        for m in range(M):
            value = (column[m] - centre) / (spread + eps) ** 0.5 * float(weight[c]) + float(bias[c])
            if residual is not None:
                value += float(residual[m, c])
            out[m, c] = 0.0 if relu and value <= 0 else value
    return out


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
    *,
    eps: float,
    training: bool,
    relu: bool,
) -> Array:
    """The adjoint of `batch_norm`. With h = (x - mean) / sqrt(variance + eps),

        dresidual = g [y > 0] (with `relu`; else g),  dbias = sum_m dresidual,  dweight = sum_m dresidual h,
        out = weight / sqrt(variance + eps) (dresidual - dbias / M - h dweight / M)

    where the last two terms are the statistics' own dependence on x, absent without `training`. y is the output of
    `batch_norm`, of which only the signs are read; None if nothing was added to it: the signs then follow from x.
    `dresidual` (or None: not wanted) is (M, C) and written like `out`.

    Cost: 6 M C multiplications; g, x and y read twice, out and dresidual written once.
    """
    check_norm(x=x, g=g, y=y, out=out, dresidual=dresidual, weight=weight, bias=bias, mean=mean, variance=variance,
               dweight=dweight, dbias=dbias)  # fmt: skip
    M, C = x.shape
    for c in range(C):
        scale = (float(variance[c]) + eps) ** -0.5
        h = [(float(x[m, c]) - float(mean[c])) * scale for m in range(M)]
        plain = [value * float(weight[c]) + float(bias[c]) for value in h] if y is None else y[:, c].tolist()
        passed = [float(g[m, c]) if not relu or plain[m] > 0 else 0.0 for m in range(M)]
        total = sum(passed)
        along = sum(a * b for a, b in zip(passed, h, strict=True))
        dbias[c], dweight[c] = total, along
        for m in range(M):
            own = total / M + h[m] * along / M if training else 0.0
            out[m, c] = float(weight[c]) * scale * (passed[m] - own)
            if dresidual is not None:
                dresidual[m, c] = passed[m]
    return out
