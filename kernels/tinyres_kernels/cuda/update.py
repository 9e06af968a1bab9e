"""The steps of optimisers: one number a thread, everything read once and written once."""

from math import sqrt

from tinyres_kernels.cuda.host import THREADS, blocks, cuda, jit, kernel, launch, lines, real
from tinyres_kernels.namespace import Array
from tinyres_kernels.reference.loss import check_alike

# 0 times an infinity is NaN: what a setting of 0 leaves out is asked, and not multiplied.


@kernel("rrrrrssssnnn")
def sgd_kernel(real):
    @jit
    def sgd_kernel(out, new_buffer, p, g, buffer, lr, momentum, share, decay, has_buffer, first, nesterov):
        i = cuda.grid(1)
        if i < out.size:
            step = g[i] + decay * p[i] if decay != real(0) else g[i]
            if has_buffer:
                average = step if first else momentum * buffer[i] + share * step
                new_buffer[i] = average
                step = step + momentum * average if nesterov else average
            out[i] = p[i] - lr * step

    return sgd_kernel


@kernel("rrrrrrrsssssssssn")
def adam_kernel(real):
    @jit
    def adam_kernel(
        out, new_m, new_v, p, g, m, v, rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first
    ):
        i = cuda.grid(1)
        if i < out.size:
            slope = g[i] + decay * p[i] if decay != real(0) else g[i]
            mean, square = share1 * slope, share2 * (slope * slope)
            if not first:
                mean, square = keep1 * m[i] + mean, keep2 * v[i] + square
            new_m[i], new_v[i] = mean, square
            out[i] = shrink * p[i] - rate * (mean / (real(sqrt(square)) / scale + eps))

    return adam_kernel


@kernel("rrrrrrrrrssssssnnn")
def rmsprop_kernel(real):
    @jit
    def rmsprop_kernel(
        out, new_v, new_a, new_b, p, g, v, a, b, lr, keep, share, eps, decay, momentum, first, centred, moving
    ):
        i = cuda.grid(1)
        if i < out.size:
            slope = g[i] + decay * p[i] if decay != real(0) else g[i]
            spread = share * (slope * slope)
            if not first:
                spread = keep * v[i] + spread
            new_v[i] = spread
            if centred:
                centre = share * slope
                if not first:
                    centre = keep * a[i] + centre
                new_a[i] = centre
                spread -= centre * centre
                if spread < real(0):  # a constant gradient leaves rounding errors of either sign
                    spread = real(0)
            step = slope / (real(sqrt(spread)) + eps)
            if moving:
                if not first:
                    step = momentum * b[i] + step
                new_b[i] = step
            out[i] = p[i] - lr * step

    return rmsprop_kernel


def sgd(
    p: Array,
    g: Array,
    buffer: Array | None,
    out: Array,
    new_buffer: Array | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
) -> Array:
    """`reference.sgd`. 20 bytes a number in float32."""
    check_alike(*(a for a in (p, g, buffer, out, new_buffer) if a is not None))
    if out.size:
        settings = map(real(out), (lr, momentum, 1 - dampening, weight_decay))
        flags = map(int, (new_buffer is not None, buffer is None, nesterov))
        arrays = lines((out, new_buffer), (p, g, buffer))
        launch(sgd_kernel(real(out)), blocks(out.size), THREADS, *arrays, *settings, *flags)
    return out


def adam(
    p: Array,
    g: Array,
    m: Array | None,
    v: Array | None,
    out: Array,
    new_m: Array,
    new_v: Array,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> Array:
    """`reference.adam`. 28 bytes a number in float32."""
    check_alike(*(a for a in (p, g, m, v, out, new_m, new_v) if a is not None))
    if out.size:
        decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
        rates = lr / (1 - beta1**step), beta1, 1 - beta1, beta2, 1 - beta2, eps, decay, shrink, (1 - beta2**step) ** 0.5
        arrays = lines((out, new_m, new_v), (p, g, m, v))
        launch(adam_kernel(real(out)), blocks(out.size), THREADS, *arrays, *map(real(out), rates), int(m is None))
    return out


def rmsprop(
    p: Array,
    g: Array,
    v: Array | None,
    a: Array | None,
    b: Array | None,
    out: Array,
    new_v: Array,
    new_a: Array | None,
    new_b: Array | None,
    *,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
) -> Array:
    """`reference.rmsprop`. 20 to 36 bytes a number in float32."""
    check_alike(*(array for array in (p, g, v, a, b, out, new_v, new_a, new_b) if array is not None))
    if out.size:
        settings = map(real(out), (lr, alpha, 1 - alpha, eps, weight_decay, momentum))
        flags = map(int, (v is None, new_a is not None, new_b is not None))
        arrays = lines((out, new_v, new_a, new_b), (p, g, v, a, b))
        launch(rmsprop_kernel(real(out)), blocks(out.size), THREADS, *arrays, *settings, *flags)
    return out
