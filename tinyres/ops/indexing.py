"""Basic and advanced indexing, and its adjoint."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinyres.arrays import empty_in_order, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.operands import snapshot_key

WIDE, OFTEN = 32, 8  # numbers in a row, and times that each comes, from which rows are worth sorting


@primitive
def getitem_(x, *, key):
    return x[key]


def _add_at(g, key, total):
    if _is_basic(key):
        total[key] += g
    else:
        total += scatter_add_(g, key=key, shape=total.shape)


getitem_.vjp(x=lambda g, x_shape, key: scatter_add_(g, key=key, shape=x_shape))
getitem_.vjp_into(x=_add_at)


@primitive
def scatter_add_(x, *, key, shape):
    # The order of the sums is fixed, on a GPU too, so that results are the same from run to run.
    out = empty_in_order(shape, like=x)
    out.fill(0)
    if _is_basic(key):
        out[key] = x
    elif namespace(x) is np and _is_lookup(x, key, shape):
        _add_rows(out, key.reshape(-1), x.reshape(-1, shape[1]))
    elif namespace(x) is np:
        np.add.at(out, key, x)
    elif x.size:
        out[...] = _summed_by_place(x, key, shape)
    return out


scatter_add_.vjp(x=lambda g, key: getitem_(g, key=key))


@public
def added_at(x: Any, *, key: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with x added at `key`; places that the key names twice receive twice."""
    return scatter_add_(x, key=snapshot_key(key), shape=shape)


@public
def getitem(x: Any, key: Any) -> Any:
    """x[key] with integers, slices, None, ..., integer arrays and boolean masks, as in NumPy."""
    return getitem_(x, key=key if type(key) is int else snapshot_key(key))


def _is_lookup(x: Any, key: Any, shape: tuple[int, ...]) -> bool:
    """Whether x are rows of a table, of which each is there many times: `np.add.at` takes number by number."""
    return (
        isinstance(key, np.ndarray)
        and key.dtype.kind in "iu"
        and len(shape) == 2
        and shape[1] >= WIDE
        and key.size >= OFTEN * shape[0] > 0
        and key.min() >= 0
        and key.max() < shape[0]
    )


def _add_rows(out: Any, places: Any, rows: Any) -> None:
    """out[places[i]] += rows[i], with the roundings of `np.add.at`: rows of one place are summed in their order."""
    order = places.argsort(kind="stable")
    places, rows = places[order], rows[order]
    ends = np.append(np.flatnonzero(places[1:] != places[:-1]) + 1, len(places)).tolist()
    first = 0
    for end in ends:
        rows[first:end].sum(axis=0, out=out[places[first]])
        first = end


def _summed_by_place(x: Any, key: Any, shape: tuple[int, ...]) -> Any:
    """`np.add.at` on zeros, without atomics, whose order changes from run to run, and without asking the GPU anything.

    Rows are sorted by their place; then each adds the sum that ends 1, 2, 4, ... rows before it, if it belongs to the
    same place (Hillis & Steele 1986 [hillis1986data], "Data parallel algorithms"), and the last row of a place holds
    all of it.
    """
    xp, parts = namespace(x), key if isinstance(key, tuple) else (key,)
    rows_only = all(type(k) is int or (hasattr(k, "dtype") and k.dtype.kind in ("i", "u")) for k in parts)
    leading = shape[: len(parts)] if rows_only else shape  # the axes that the key tells apart
    places, width = prod(leading), prod(shape[len(leading) :])
    place = xp.arange(places).reshape(leading)[key].reshape(-1)  # (M,)
    order = xp.argsort(place, kind="stable")
    place, rows = place[order], x.reshape(-1, width)[order]  # (M,), (M, width)
    step = 1
    while step < len(place):
        same = (place[step:] == place[:-step])[:, None]
        rows[step:] = rows[step:] + xp.where(same, rows[:-step], 0)  # the right side is a copy, made before
        step *= 2
    ends = xp.ones(len(place), dtype=bool)
    ends[:-1] = place[1:] != place[:-1]
    out = xp.zeros((places + 1, width), dtype=x.dtype)
    out[xp.where(ends, place, places)] = rows  # the row after the last is nobody's: it takes what is no end
    return out[:-1].reshape(shape)


def _is_basic(key: Any) -> bool:
    """Basic keys name no place twice, so that assignment will do (and is much faster)."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(k is None or k is ... or (isinstance(k, (int, slice)) and not isinstance(k, bool)) for k in parts)
