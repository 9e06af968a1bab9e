"""The steps of optimisers in whole-array operations."""

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.reference.loss import check_alike


def _check(*arrays: Array | None) -> None:
    check_alike(*(a for a in arrays if a is not None))


def _decayed(p: Array, g: Array, weight_decay: float) -> Array:
    return g + weight_decay * p if weight_decay else g


def _average(old: Array | None, value: Array, keep: float, out: Array) -> Array:
    xp = namespace(value, out)
    if old is None:
        return xp.multiply(1 - keep, value, out=out)
    xp.multiply(keep, old, out=out)
    out += (1 - keep) * value
    return out


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
    """`reference.sgd`. Up to 70 bytes a number in float32."""
    _check(p, g, buffer, out, new_buffer)
    xp = namespace(p, out)
    g = _decayed(p, g, weight_decay)
    if new_buffer is not None:
        if buffer is None:
            new_buffer[...] = g
        else:
            xp.multiply(momentum, buffer, out=new_buffer)
            new_buffer += (1 - dampening) * g
        g = g + momentum * new_buffer if nesterov else new_buffer
    return xp.subtract(p, lr * g, out=out)


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
    """`reference.adam`. About 140 bytes a number in float32."""
    _check(p, g, m, v, out, new_m, new_v)
    xp = namespace(p, out)
    if decoupled:
        p = p * (1 - lr * weight_decay)
    else:
        g = _decayed(p, g, weight_decay)
    _average(m, g, beta1, new_m)
    _average(v, g * g, beta2, new_v)
    root = xp.sqrt(new_v) / (1 - beta2**step) ** 0.5 + eps
    return xp.subtract(p, lr / (1 - beta1**step) * (new_m / root), out=out)


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
    """`reference.rmsprop`. Up to 150 bytes a number in float32."""
    _check(p, g, v, a, b, out, new_v, new_a, new_b)
    xp = namespace(p, out)
    g = _decayed(p, g, weight_decay)
    spread = _average(v, g * g, alpha, new_v)
    if new_a is not None:
        spread = xp.maximum(spread - _average(a, g, alpha, new_a) ** 2, 0)
    step = g / (xp.sqrt(spread) + eps)
    if new_b is not None:
        if b is None:
            new_b[...] = step
        else:
            xp.multiply(momentum, b, out=new_b)
            new_b += step
        step = new_b
    return xp.subtract(p, lr * step, out=out)
