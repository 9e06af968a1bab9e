"""The steps of optimisers, one number at a time.

Arrays of one step have one shape. Those that are read are never written into: the new parameter goes to `out`, new
state to arrays of its own. State is None before a parameter's first step. Without momentum its
old and new arrays are None as well.
"""

from math import copysign, inf, nan

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Adam, Rmsprop, Sgd


def sgd(p: Array, g: Array, buffer: Array | None, out: Array, new_buffer: Array | None, s: Sgd) -> None:
    """A step of gradient descent with momentum.

        g'         = g + weight_decay p
        new_buffer = momentum buffer + (1 - dampening) g'        (at the first step g')
        out        = p - lr new_buffer,   with nesterov p - lr (g' + momentum new_buffer),   without momentum p - lr g'

    A weight_decay of 0 adds nothing, also where p is infinite or NaN.

    Cost: 4 multiplications a number; p, g, buffer read and out, new_buffer written: 20 bytes in float32.
    """
    for at in ndindex(p.shape):
        step = float(g[at]) + (s.weight_decay * float(p[at]) if s.weight_decay else 0.0)
        if new_buffer is not None:
            b = step if buffer is None else s.momentum * float(buffer[at]) + (1 - s.dampening) * step
            new_buffer[at] = b
            step = step + s.momentum * b if s.nesterov else b
        out[at] = float(p[at]) - s.lr * step


def _ratio(above: float, below: float) -> float:
    """above / below, for below >= 0, as floating point has it: by 0 it is an infinity or a NaN, and no error."""
    return above / below if below else copysign(inf, above) if above else nan


def _average(old: Array | None, at: tuple[int, ...], new: float, keep: float) -> float:
    return (1 - keep) * new + (0.0 if old is None else keep * float(old[at]))


def adam(p: Array, g: Array, m: Array | None, v: Array | None, out: Array, new_m: Array, new_v: Array, s: Adam) -> None:
    """Adam's step number `step`, counted from 1; AdamW's if `decoupled`.

        g'    = g + weight_decay p,   p' = p           (decoupled: g' = g, p' = (1 - lr weight_decay) p)
        new_m = beta1 m + (1 - beta1) g'
        new_v = beta2 v + (1 - beta2) g'^2
        out   = p' - lr / (1 - beta1^step) new_m / (sqrt(new_v) / sqrt(1 - beta2^step) + eps)

    A weight_decay of 0 adds nothing, also where p is infinite or NaN. An m or v that is None counts as 0.

    Cost: 8 multiplications, 2 divisions and a root a number; 28 bytes in float32.
    """
    for at in ndindex(p.shape):
        start, slope = float(p[at]), float(g[at])
        if s.decoupled:
            start *= 1 - s.lr * s.weight_decay
        elif s.weight_decay:
            slope += s.weight_decay * start
        first, second = _average(m, at, slope, s.beta1), _average(v, at, slope * slope, s.beta2)
        new_m[at], new_v[at] = first, second
        root = second**0.5 / (1 - s.beta2**s.step) ** 0.5
        out[at] = start - s.lr / (1 - s.beta1**s.step) * _ratio(first, root + s.eps)


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
    s: Rmsprop,
) -> None:
    """A step of RMSprop: centred if there is a new_a, with momentum if there is a new_b.

        g'    = g + weight_decay p
        new_v = alpha v + (1 - alpha) g'^2
        new_a = alpha a + (1 - alpha) g'
        s     = new_v, centred max(new_v - new_a^2, 0)
        new_b = momentum b + g' / (sqrt(s) + eps)
        out   = p - lr new_b

    A weight_decay of 0 adds nothing, also where p is infinite or NaN. A v, a or b that is None counts as 0.

    Cost: up to 9 multiplications, a division and a root a number; 20 to 36 bytes in float32.
    """
    for at in ndindex(p.shape):
        slope = float(g[at]) + (s.weight_decay * float(p[at]) if s.weight_decay else 0.0)
        spread = _average(v, at, slope * slope, s.alpha)
        new_v[at] = spread
        if new_a is not None:
            centre = _average(a, at, slope, s.alpha)
            new_a[at] = centre
            spread -= centre * centre
            spread = 0.0 if spread < 0 else spread  # a constant gradient leaves rounding errors of either sign
        step = _ratio(slope, spread**0.5 + s.eps)
        if new_b is not None:
            step += 0.0 if b is None else s.momentum * float(b[at])
            new_b[at] = step
        out[at] = float(p[at]) - s.lr * step
