"""Accurate float32 sums of very many numbers.

NumPy sums pairwise along the innermost axis in memory, but along other axes it adds one number after the other. In
float32 the last ones are then lost: the mean of 2^25 ones was 0.5. Images have their channels innermost, so the
gradient of every bias is such a sum. (Float64 has digits enough, and a GPU sums in a tree.)
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from tinyres.arrays import namespace

LONG = 4096  # so many terms may be added one after the other
PART = 256  # longer sums are made of sums of so many terms


def drifts(x: Any, axis: tuple[int, ...]) -> bool:
    """Whether NumPy's own sum over these axes would add more than `LONG` terms one after the other."""
    if x.size <= LONG or x.dtype.kind != "f" or x.dtype.itemsize > 4 or namespace(x) is not np:
        return False
    run, following = 1, 0  # the length that NumPy merges into one axis, and the stride that would continue it
    for a in sorted(range(x.ndim), key=lambda a: _step(x, a)):
        if x.shape[a] > 1:
            if a not in axis or (following and x.strides[a] != following):
                break
            run, following = run * x.shape[a], x.strides[a] * x.shape[a]
    return bool(prod([x.shape[a] for a in axis]) > LONG * run)


def sum_in_parts(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """The same sum, axis by axis. An axis longer than `LONG` is summed in parts, and these in parts again."""
    for a in sorted(axis, key=lambda a: _step(x, a)):
        while x.shape[a] > LONG:
            x = _parts(x, a)
        x = x.sum(axis=a, keepdims=True)
    return x if keepdims else x.reshape([n for a, n in enumerate(x.shape) if a not in axis])


def _step(x: Any, a: int) -> float:
    return abs(x.strides[a]) or inf


def _parts(x: Any, a: int) -> Any:
    """Sums of `PART` neighbours each along an axis, and of the remainder."""
    whole = x.shape[a] // PART
    before = (slice(None),) * a
    neighbours = x[(*before, slice(whole * PART))].reshape(*x.shape[:a], whole, PART, *x.shape[a + 1 :])
    rest = x[(*before, slice(whole * PART, None))]
    return np.concatenate([neighbours.sum(axis=a + 1), rest.sum(axis=a, keepdims=True)], axis=a)
