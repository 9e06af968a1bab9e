"""What is kept of an array: a handful of numbers and a histogram.

Of an array on a GPU they come to the host in one copy; a second one is made only where squares leave float64's range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import device_of, namespace, ravel_k, to_device, to_floats
from tinyres.autograd.tensor import Array, raw

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
    norm, mean, variance, dead, sample = _seen(value, units=True)
    with np.errstate(all="ignore"):
        scores = (sample - mean) / np.sqrt(variance) if variance > 0 else np.zeros(len(sample))
    return Summary(norm, mean, variance, dead, _shares(scores, SCORE_EDGES))


def of_gradient(value: Any) -> Summary:
    """Of a gradient: the histogram is of log10 of its absolute values; exact zeros are in none of the bins."""
    norm, mean, variance, _, sample = _seen(raw(value), units=False)
    with np.errstate(all="ignore"):
        logs = np.log10(np.abs(sample))
    return Summary(norm, mean, variance, np.nan, _shares(logs, LOG_EDGES))


def size(value: Any) -> float:
    """|value|, also where its squares are too small or too large for a float."""
    return sizes([value])[0]


def sizes(values: Sequence[Any]) -> list[float]:
    """`size` of each; from a GPU in one copy."""
    arrays = [raw(value) for value in values]
    on_gpu = [ravel_k(a).astype("float64") for a in arrays if device_of(a) == "cuda"]
    figures = iter(to_floats(*(f for u in on_gpu for f in _figures(u))))  # in one copy
    known = ((next(figures), next(figures), next(figures)) if device_of(a) == "cuda" else None for a in arrays)
    return [_norm_and_mean(ravel_k(a), three)[0] for a, three in zip(arrays, known, strict=True)]


def dot(a: Any, b: Any) -> float:
    """The inner product, in float64."""
    a, b = raw(a), raw(b)
    u, v = (ravel_k(a), ravel_k(b)) if a.strides == b.strides else (a.reshape(-1), b.reshape(-1))
    if device_of(u) == "cuda":
        return to_floats((u.astype("float64") * v.astype("float64")).sum())[0]
    return sum(float((p * q).sum()) for p, q in zip(_pieces(u), _pieces(v), strict=True))


def dead_fraction(value: Array) -> float:
    """The share of units that are 0 for the whole batch: channels of (N, C, H, W), else entries of the last axis."""
    return to_floats(_dead(value))[0] if value.ndim >= 2 and value.size else np.nan


def _dead(value: Array) -> Any:
    units_last = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    alive = (units_last != 0).reshape(-1, units_last.shape[-1]).any(axis=0)
    return 1 - alive.mean()


def _seen(value: Array, *, units: bool) -> tuple[float, float, float, float, Array]:
    """Norm, mean, variance, share of dead units (NaN where not asked for), and a sample of the entries, in float64."""
    flat, known = ravel_k(value), None
    units = units and value.ndim >= 2 and value.size > 0
    sample = flat if flat.size <= SAMPLE else flat[_places(flat.size)]
    if device_of(value) == "cpu" or not flat.size:
        dead, sample = dead_fraction(value) if units else np.nan, to_device(sample, "cpu").astype("float64")
    else:
        xp = namespace(flat)
        few = [*_figures(flat.astype("float64")), _dead(value) if units else xp.full((), np.nan)]
        found = to_device(xp.concatenate([xp.stack(few), sample.astype("float64")]), "cpu")
        (*known, dead), sample = found[:4].tolist(), found[4:]
    norm, mean = _norm_and_mean(flat, known)
    variance = max(norm * norm / flat.size - mean * mean, 0.0) if np.isfinite(mean) else np.nan
    return norm, mean, variance, dead, sample


def _figures(u: Array) -> tuple[Any, Any, Any]:
    """Sum of squares, sum, and largest absolute value: where they are, not yet on the host. Of nothing: zeros."""
    return (u * u).sum(), u.sum(), abs(u).max() if u.size else u.sum()


def _norm_and_mean(flat: Array, known: Sequence[float] | None = None) -> tuple[float, float]:
    """|flat| and its mean; from its `_figures`, where they are known already."""
    if not flat.size:
        return 0.0, np.nan
    with np.errstate(all="ignore"):
        if known is None:
            squares, total = np.sum([(float((u * u).sum()), float(u.sum())) for u in _pieces(flat)], axis=0)
        else:
            squares, total, largest = known
        mean = float(total / flat.size)
        if _SQUARES[0] < squares < _SQUARES[1]:
            return float(np.sqrt(squares)), mean
        if known is None:
            largest = float(abs(flat).max())
        if not 0 < largest < np.inf:
            return largest, mean
        scaled = flat.astype("float64") / largest
        return largest * float(np.sqrt(to_floats((scaled * scaled).sum())[0])), mean


def _pieces(flat: Array) -> Iterator[Array]:
    """In float64, where the squares of small float32 gradients are no zeros; in pieces that fit the cache.

    They are squared and summed and not handed to BLAS, whose threads would meet those of the kernels.
    """
    return (flat[k : k + _PIECE].astype("float64") for k in range(0, flat.size, _PIECE))


@lru_cache
def _places(length: int) -> Array:
    """Where to look: drawn once, so that steps compare. (A stride would meet the same channels again and again.)"""
    return np.random.default_rng(0).integers(0, length, SAMPLE)


def _shares(values: Array, edges: Array) -> Array:
    """The share of the values in each bin; the first and the last bin are open. Infinite ones and NaN are in none."""
    inside = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    return np.histogram(inside, edges)[0] / max(values.size, 1)
