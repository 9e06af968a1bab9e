"""The steps of optimisers: everything read once and written once, by SGD and Adam four numbers a thread."""

from math import sqrt

from tinyres_kernels.cuda.host import THREADS, blocks, cuda, helper, jit, kernel, launch, lines, real, wide
from tinyres_kernels.cuda.words import load4, store4
from tinyres_kernels.namespace import Array
from tinyres_kernels.reference.loss import check_alike

# 0 times an infinity is NaN: what a setting of 0 leaves out is asked, and not multiplied.


@kernel("rrrrrssssnnn")
def sgd_kernel(real, width=1):
    zero = real(0)

    @helper
    def stepped(p, g, average, lr, momentum, share, decay, has_buffer, first, nesterov):
        """The parameter and its average after the step."""
        step = g + decay * p if decay != zero else g
        if has_buffer:
            average = step if first else momentum * average + share * step
            step = step + momentum * average if nesterov else average
        return p - lr * step, average

    @jit
    def sgd_kernel(out, new_buffer, p, g, buffer, lr, momentum, share, decay, has_buffer, first, nesterov):
        i = cuda.grid(1) * width
        how = lr, momentum, share, decay, has_buffer, first, nesterov
        if width == 4 and i + 4 <= out.size:
            p0, p1, p2, p3 = load4(p, i)
            g0, g1, g2, g3 = load4(g, i)
            b0, b1, b2, b3 = zero, zero, zero, zero
            if has_buffer and not first:
                b0, b1, b2, b3 = load4(buffer, i)
            (p0, b0), (p1, b1) = stepped(p0, g0, b0, *how), stepped(p1, g1, b1, *how)
            (p2, b2), (p3, b3) = stepped(p2, g2, b2, *how), stepped(p3, g3, b3, *how)
            if has_buffer:
                store4(new_buffer, i, b0, b1, b2, b3)
            store4(out, i, p0, p1, p2, p3)
        else:
            for j in range(i, min(i + width, out.size)):
                p0, b0 = stepped(p[j], g[j], buffer[j] if has_buffer and not first else zero, *how)
                if has_buffer:
                    new_buffer[j] = b0
                out[j] = p0

    return sgd_kernel


@kernel("rrrrrrrsssssssssn")
def adam_kernel(real, width=1):
    zero = real(0)

    @helper
    def stepped(p, g, m, v, rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first):
        """The parameter and both averages after the step."""
        slope = g + decay * p if decay != zero else g
        mean, square = share1 * slope, share2 * (slope * slope)
        if not first:
            mean, square = keep1 * m + mean, keep2 * v + square
        return shrink * p - rate * (mean / (real(sqrt(square)) / scale + eps)), mean, square

    @jit
    def adam_kernel(
        out, new_m, new_v, p, g, m, v, rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first
    ):
        i = cuda.grid(1) * width
        how = rate, keep1, share1, keep2, share2, eps, decay, shrink, scale, first
        if width == 4 and i + 4 <= out.size:
            p0, p1, p2, p3 = load4(p, i)
            g0, g1, g2, g3 = load4(g, i)
            m0, m1, m2, m3 = zero, zero, zero, zero
            v0, v1, v2, v3 = zero, zero, zero, zero
            if not first:
                m0, m1, m2, m3 = load4(m, i)
                v0, v1, v2, v3 = load4(v, i)
            (p0, m0, v0), (p1, m1, v1) = stepped(p0, g0, m0, v0, *how), stepped(p1, g1, m1, v1, *how)
            (p2, m2, v2), (p3, m3, v3) = stepped(p2, g2, m2, v2, *how), stepped(p3, g3, m3, v3, *how)
            store4(new_m, i, m0, m1, m2, m3)
            store4(new_v, i, v0, v1, v2, v3)
            store4(out, i, p0, p1, p2, p3)
        else:
            for j in range(i, min(i + width, out.size)):
                m0, v0 = (zero, zero) if first else (m[j], v[j])
                p0, m0, v0 = stepped(p[j], g[j], m0, v0, *how)
                new_m[j], new_v[j], out[j] = m0, v0, p0

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
        arrays = tuple(lines((out, new_buffer), (p, g, buffer)))
        width = wide(*arrays)
        launch(sgd_kernel(real(out), width), blocks(out.size, THREADS * width), THREADS, *arrays, *settings, *flags)
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
        arrays, settings = tuple(lines((out, new_m, new_v), (p, g, m, v))), map(real(out), rates)
        width = wide(*arrays)
        made = adam_kernel(real(out), width)
        launch(made, blocks(out.size, THREADS * width), THREADS, *arrays, *settings, int(m is None))
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
