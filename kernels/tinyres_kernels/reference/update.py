"""The steps of optimisers, one number at a time.

Arrays of one step have one shape. Those that are read are never written into: the new parameter goes to `out`, new
state to arrays of its own. State is None before a parameter's first step. Without momentum its
old and new arrays are None as well.
"""

from math import copysign, inf, nan

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.reference.loss import check_alike


def _check(*arrays: Array | None) -> None:
    check_alike(*(a for a in arrays if a is not None))


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
    """A step of gradient descent with momentum.

        g'         = g + weight_decay p
        new_buffer = momentum buffer + (1 - dampening) g'        (at the first step g')
        out        = p - lr new_buffer,   with nesterov p - lr (g' + momentum new_buffer),   without momentum p - lr g'

    Cost: 4 multiplications a number; p, g, buffer read and out, new_buffer written: 20 bytes in float32.
    """
    _check(p, g, buffer, out, new_buffer)
    for at in ndindex(p.shape):
        step = float(g[at]) + (weight_decay * float(p[at]) if weight_decay else 0.0)
        if new_buffer is not None:
            b = step if buffer is None else momentum * float(buffer[at]) + (1 - dampening) * step
            new_buffer[at] = b
            step = step + momentum * b if nesterov else b
        out[at] = float(p[at]) - lr * step
    return out


def _ratio(above: float, below: float) -> float:
    """above / below, for below >= 0, as floating point has it: by 0 it is an infinity or a NaN, and no error."""
    return above / below if below else copysign(inf, above) if above else nan


def _average(old: Array | None, at: tuple[int, ...], new: float, keep: float) -> float:
    return (1 - keep) * new + (0.0 if old is None else keep * float(old[at]))


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
    """Adam's step number `step`, counted from 1; AdamW's if `decoupled`.

        g'    = g + weight_decay p,   p' = p           (decoupled: g' = g, p' = (1 - lr weight_decay) p)
        new_m = beta1 m + (1 - beta1) g'
        new_v = beta2 v + (1 - beta2) g'^2
        out   = p' - lr / (1 - beta1^step) new_m / (sqrt(new_v) / sqrt(1 - beta2^step) + eps)

    Cost: 8 multiplications, 2 divisions and a root a number; 28 bytes in float32.
    """
    _check(p, g, m, v, out, new_m, new_v)
    for at in ndindex(p.shape):
        start, slope = float(p[at]), float(g[at])
        if decoupled:
            start *= 1 - lr * weight_decay
        elif weight_decay:
            slope += weight_decay * start
        first, second = _average(m, at, slope, beta1), _average(v, at, slope * slope, beta2)
        new_m[at], new_v[at] = first, second
        root = second**0.5 / (1 - beta2**step) ** 0.5
        out[at] = start - lr / (1 - beta1**step) * _ratio(first, root + eps)
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
    """A step of RMSprop: centred if there is a new_a, with momentum if there is a new_b.

        g'    = g + weight_decay p
        new_v = alpha v + (1 - alpha) g'^2
        new_a = alpha a + (1 - alpha) g'
        s     = new_v, centred max(new_v - new_a^2, 0)
        new_b = momentum b + g' / (sqrt(s) + eps)
        out   = p - lr new_b

    Cost: up to 9 multiplications, a division and a root a number; 20 to 36 bytes in float32.
    """
    _check(p, g, v, a, b, out, new_v, new_a, new_b)
    for at in ndindex(p.shape):
        slope = float(g[at]) + (weight_decay * float(p[at]) if weight_decay else 0.0)
        spread = _average(v, at, slope * slope, alpha)
        new_v[at] = spread
        if new_a is not None:
            centre = _average(a, at, slope, alpha)
            new_a[at] = centre
            spread -= centre * centre
            spread = 0.0 if spread < 0 else spread  # a constant gradient leaves rounding errors of either sign
        step = _ratio(slope, spread**0.5 + eps)
        if new_b is not None:
            step += 0.0 if b is None else momentum * float(b[at])
            new_b[at] = step
        out[at] = float(p[at]) - lr * step
    return out
