"""Batch norm with the residual sum and the ReLU that follow it, and its adjoint, one channel at a time."""

from tinyres_kernels.geometry import check_norm, check_running
from tinyres_kernels.namespace import Array


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    residual: Array | None,
    out: Array,
    mean: Array,
    variance: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    batches: Array | None = None,
    new_mean: Array | None = None,
    new_var: Array | None = None,
    new_batches: Array | None = None,
    *,
    eps: float,
    training: bool,
    relu: bool,
    momentum: float = 0.0,
) -> Array:
    """Every channel brought to mean 0 and variance 1, scaled and shifted; then, if asked for, a sum and a ReLU.

        out[m, c] = f( (x[m, c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c] + residual[m, c] )

    with f = max(., 0) where `relu`, else the identity. In training the statistics are those of the batch, and written:
    mean[c] = sum_m x / M, variance[c] = sum_m (x - mean)^2 / M. Otherwise they are read. In training, running ones
    may be given, and move towards them; what each becomes goes into an array of its own, or both are None:

        new_mean = (1 - momentum) running_mean + momentum mean,   new_batches = batches + 1,
        new_var = (1 - momentum) running_var + momentum variance M / (M - 1)

    x, out and residual (or None) are (M, C), pixels by channels; the numbers of batches are integers (1,), the others
    (C,). NaN passes through the ReLU.
    Cost: 4 M C multiplications; x read twice in training and once otherwise, residual once, out written once.
    Ioffe & Szegedy 2015 [ioffe2015batch], "Batch normalization".
    """
    check_norm(x=x, out=out, residual=residual, weight=weight, bias=bias, mean=mean, variance=variance)
    check_running(x, training, (running_mean, new_mean), (running_var, new_var), (batches, new_batches))
    M, C = x.shape
    for c in range(C):
        column = [float(x[m, c]) for m in range(M)]
        if training:
            mean[c] = centre = sum(column) / M
            variance[c] = spread = sum((value - centre) ** 2 for value in column) / M
            if new_mean is not None and running_mean is not None:
                new_mean[c] = (1 - momentum) * float(running_mean[c]) + momentum * centre
            if new_var is not None and running_var is not None:
                new_var[c] = (1 - momentum) * float(running_var[c]) + momentum * spread * M / (M - 1)
        else:
            centre, spread = float(mean[c]), float(variance[c])
        for m in range(M):
            value = (column[m] - centre) / (spread + eps) ** 0.5 * float(weight[c]) + float(bias[c])
            if residual is not None:
                value += float(residual[m, c])
            out[m, c] = 0.0 if relu and value <= 0 else value
    if new_batches is not None and batches is not None:
        new_batches[0] = batches[0] + 1
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
