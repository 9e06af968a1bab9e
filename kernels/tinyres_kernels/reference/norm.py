"""Batch norm with the residual sum and the ReLU that follow it, and its adjoint, one channel at a time."""

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Norm, Running


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
    """Bring every channel to mean 0 and variance 1, scale and shift it; then, if asked, add a residual and apply ReLU.

        out[m, c] = f( (x[m, c] - mean[c]) / sqrt(variance[c] + eps) * weight[c] + bias[c] + residual[m, c] )

    with f = max(., 0) where `relu`, else the identity. In training the statistics are those of the batch, and written:
    mean[c] = sum_m x / M, variance[c] = sum_m (x - mean)^2 / M. Otherwise they are read. In training, running ones
    may be given, and move towards them; what each becomes goes into an array of its own, or both are None. In `running`
    they are called mean and var, new_mean and new_var:

        new_mean = (1 - momentum) running_mean + momentum mean,   new_batches = batches + 1,
        new_var = (1 - momentum) running_var + momentum variance M / (M - 1)

    x, out and residual (or None) are (M, C), pixels by channels; the numbers of batches are integers (1,), the others
    (C,). NaN passes through the ReLU.
    Cost: 4 M C multiplications; x read twice in training and once otherwise, residual once, out written once.
    Ioffe & Szegedy 2015 [ioffe2015batch], "Batch normalization".
    """
    M, C = x.shape
    kept = running or Running()
    for c in range(C):
        column = [float(x[m, c]) for m in range(M)]
        if s.training:
            mean[c] = centre = sum(column) / M
            variance[c] = spread = sum((value - centre) ** 2 for value in column) / M
            if kept.new_mean is not None:
                kept.new_mean[c] = (1 - s.momentum) * float(kept.mean[c]) + s.momentum * centre
            if kept.new_var is not None:
                kept.new_var[c] = (1 - s.momentum) * float(kept.var[c]) + s.momentum * spread * M / (M - 1)
        else:
            centre, spread = float(mean[c]), float(variance[c])
        for m in range(M):
            value = (column[m] - centre) / (spread + s.eps) ** 0.5 * float(weight[c]) + float(bias[c])
            if residual is not None:
                value += float(residual[m, c])
            out[m, c] = 0.0 if s.relu and value <= 0 else value
    if kept.new_batches is not None:
        kept.new_batches[0] = kept.batches[0] + 1


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
    """The adjoint of `batch_norm`. With h = (x - mean) / sqrt(variance + eps),

        dresidual = g [y > 0] (with `relu`; else g),  dbias = sum_m dresidual,  dweight = sum_m dresidual h,
        out = weight / sqrt(variance + eps) (dresidual - dbias / M - h dweight / M)

    where the last two terms are the statistics' own dependence on x, absent without `training`. y is the output of
    `batch_norm`, of which only the signs are read; None if nothing was added to it: the signs then follow from x.
    `dresidual` (or None: not wanted) is (M, C) and written like `out`.

    Cost: 6 M C multiplications; g, x and y read twice, out and dresidual written once.
    """
    M, C = x.shape
    for c in range(C):
        scale = (float(variance[c]) + s.eps) ** -0.5
        h = [(float(x[m, c]) - float(mean[c])) * scale for m in range(M)]
        plain = [value * float(weight[c]) + float(bias[c]) for value in h] if y is None else y[:, c].tolist()
        passed = [float(g[m, c]) if not s.relu or plain[m] > 0 else 0.0 for m in range(M)]
        total = sum(passed)
        along = sum(a * b for a, b in zip(passed, h, strict=True))
        dbias[c], dweight[c] = total, along
        for m in range(M):
            own = total / M + h[m] * along / M if s.training else 0.0
            out[m, c] = float(weight[c]) * scale * (passed[m] - own)
            if dresidual is not None:
                dresidual[m, c] = passed[m]
