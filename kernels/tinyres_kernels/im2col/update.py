"""The steps of optimisers in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Adam, Rmsprop, Sgd


def _decayed(p: Array, g: Array, weight_decay: float) -> Array:
    return g + weight_decay * p if weight_decay else g


def _average(old: Array | None, value: Array, keep: float, out: Array) -> Array:
    xp = namespace(value, out)
    if old is None:
        return xp.multiply(1 - keep, value, out=out)
    xp.multiply(keep, old, out=out)
    out += (1 - keep) * value
    return out


def sgd(p: Array, g: Array, buffer: Array | None, out: Array, new_buffer: Array | None, s: Sgd) -> None:
    """`reference.sgd`. Up to 70 bytes a number in float32."""
    xp = namespace(p, out)
    g = _decayed(p, g, s.weight_decay)
    if new_buffer is not None:
        if buffer is None:
            new_buffer[...] = g
        else:
            xp.multiply(s.momentum, buffer, out=new_buffer)
            new_buffer += (1 - s.dampening) * g
        g = g + s.momentum * new_buffer if s.nesterov else new_buffer
    xp.subtract(p, s.lr * g, out=out)


def adam(p: Array, g: Array, m: Array | None, v: Array | None, out: Array, new_m: Array, new_v: Array, s: Adam) -> None:
    """`reference.adam`. About 140 bytes a number in float32."""
    xp = namespace(p, out)
    if s.decoupled:
        p = p * (1 - s.lr * s.weight_decay)
    else:
        g = _decayed(p, g, s.weight_decay)
    _average(m, g, s.beta1, new_m)
    _average(v, g * g, s.beta2, new_v)
    root = xp.sqrt(new_v) / (1 - s.beta2**s.step) ** 0.5 + s.eps
    xp.subtract(p, s.lr / (1 - s.beta1**s.step) * (new_m / root), out=out)


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
    """`reference.rmsprop`. Up to 150 bytes a number in float32."""
    xp = namespace(p, out)
    g = _decayed(p, g, s.weight_decay)
    spread = _average(v, g * g, s.alpha, new_v)
    if new_a is not None:
        spread = xp.maximum(spread - _average(a, g, s.alpha, new_a) ** 2, 0)
    step = g / (xp.sqrt(spread) + s.eps)
    if new_b is not None:
        if b is None:
            new_b[...] = step
        else:
            xp.multiply(s.momentum, b, out=new_b)
            new_b += step
        step = new_b
    xp.subtract(p, s.lr * step, out=out)
