"""What is kept of an array: a handful of numbers and a histogram."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyres.backend import to_device
from tinyres.tensor import Array, raw

SAMPLE = 4096  # elements that a histogram is made of, where there are more
LOG_EDGES = np.linspace(-30, 10, 81)  # of log10 |gradient|
SCORE_EDGES = np.linspace(-5, 5, 81)  # of (activation - mean) / standard deviation
_PIECE = 1 << 14
_SQUARES = 1e-250, 1e250  # sums of squares between these have neither lost nor overflown anything


class Summary(NamedTuple):
    """Norm, mean and variance over all elements; the share of dead units; shares of the sample, by bin."""

    norm: float
    mean: float
    variance: float
    dead: float
    histogram: Array


def of_activation(value: Array) -> Summary:
    """Of a block's output: the histogram is of its elements in standard deviations from their mean."""
    norm, mean, variance, flat = _moments(value)
    with np.errstate(all="ignore"):
        scores = (_sample(flat) - mean) / np.sqrt(variance) if variance > 0 else np.zeros(min(flat.size, SAMPLE))
    return Summary(norm, mean, variance, dead_fraction(value), _shares(scores, SCORE_EDGES))


def of_gradient(value: Any) -> Summary:
    """Of a gradient: the histogram is of log10 of its absolute values; exact zeros are in none of the bins."""
    norm, mean, variance, flat = _moments(raw(value))
    with np.errstate(all="ignore"):
        logs = np.log10(np.abs(_sample(flat)))
    return Summary(norm, mean, variance, np.nan, _shares(logs, LOG_EDGES))


def size(value: Any) -> float:
    """|value|, also where its squares are too small or too large for a float."""
    return _norm_and_mean(raw(value).ravel(order="K"))[0]


def dot(a: Any, b: Any) -> float:
    """The inner product, in float64."""
    a, b = raw(a), raw(b)
    order = "K" if a.strides == b.strides else "C"
    pieces = zip(_pieces(a.ravel(order=order)), _pieces(b.ravel(order=order)), strict=True)
    return sum(float((u * v).sum()) for u, v in pieces)


def dead_fraction(value: Array) -> float:
    """The share of units that are 0 for the whole batch: channels of (N, C, H, W), else entries of the last axis."""
    if value.ndim < 2 or not value.size:
        return np.nan
    units_last = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    alive = (units_last != 0).reshape(-1, units_last.shape[-1]).any(axis=0)
    return 1 - float(alive.mean())


def _moments(value: Array) -> tuple[float, float, float, Array]:
    flat = value.ravel(order="K")  # as it lies in memory
    norm, mean = _norm_and_mean(flat)
    variance = max(norm * norm / flat.size - mean * mean, 0.0) if np.isfinite(mean) else np.nan
    return norm, mean, variance, flat


def _norm_and_mean(flat: Array) -> tuple[float, float]:
    if not flat.size:
        return 0.0, np.nan
    with np.errstate(all="ignore"):
        squares, total = np.sum([(float((u * u).sum()), float(u.sum())) for u in _pieces(flat)], axis=0)
        mean = float(total / flat.size)
        if _SQUARES[0] < squares < _SQUARES[1]:
            return float(np.sqrt(squares)), mean
        largest = float(abs(flat).max())
        if not 0 < largest < np.inf:
            return largest, mean
        scaled = flat.astype("float64") / largest
        return largest * float(np.sqrt((scaled * scaled).sum())), mean


def _pieces(flat: Array) -> Iterator[Array]:
    """In float64, where the squares of small float32 gradients are no zeros; in pieces that fit the cache.

    They are squared and summed and not handed to BLAS, whose threads would meet those of the kernels.
    """
    return (flat[k : k + _PIECE].astype("float64") for k in range(0, flat.size, _PIECE))


@lru_cache
def _places(length: int) -> Array:
    """Where to look: drawn once, so that steps compare. (A stride would meet the same channels again and again.)"""
    return np.random.default_rng(0).integers(0, length, SAMPLE)


def _sample(flat: Array) -> Array:
    return to_device(flat if flat.size <= SAMPLE else flat[_places(flat.size)], "cpu").astype("float64")


def _shares(values: Array, edges: Array) -> Array:
    """The share of the values in each bin; the first and the last bin are open. Infinite ones and NaN are in none."""
    inside = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    return np.histogram(inside, edges)[0] / max(values.size, 1)
