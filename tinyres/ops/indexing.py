"""Basic and advanced indexing, and its adjoint."""

from __future__ import annotations

from typing import Any

from tinyres.autograd.primitive import primitive, public
from tinyres.backend import empty_in_order, namespace
from tinyres.tensor import raw


@primitive
def getitem_(x, *, key):
    return x[key]


getitem_.vjp(x=lambda g, x_shape, key: scatter_add(g, key=key, shape=x_shape))


@primitive
def scatter_add(x, *, key, shape):
    """Zeros of `shape` with x added at `key`; places that the key names twice receive twice.

    On a GPU, CuPy adds those by atomics, in an order that may change from run to run, and with it the last digit.
    """
    out = empty_in_order(shape, like=x)
    out.fill(0)
    if _is_basic(key):
        out[key] = x
    else:
        namespace(x).add.at(out, key, x)
    return out


scatter_add.vjp(x=lambda g, key: getitem_(g, key=key))


@public
def getitem(x: Any, key: Any) -> Any:
    """x[key] with integers, slices, None, ..., integer arrays and boolean masks, as in NumPy."""
    return getitem_(x, key=tuple(raw(k) for k in key) if isinstance(key, tuple) else raw(key))


def _is_basic(key: Any) -> bool:
    """Basic keys name no place twice, so that assignment will do (and is much faster)."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(k is None or k is ... or (isinstance(k, (int, slice)) and not isinstance(k, bool)) for k in parts)
