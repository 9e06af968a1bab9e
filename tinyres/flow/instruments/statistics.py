"""Summary statistics of an array: norm, mean, variance, dead units and a histogram.

For an array on a GPU they reach the host in one copy; a second copy is made only if squares leave float64's range.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinyres.arrays import device_of, namespace, ravel_k, to_device, to_floats
from tinyres.autograd.tensor import Array, raw

SAMPLE = 4096  # elements sampled for the histogram of a larger array
LOG_EDGES = np.linspace(-30, 10, 81)  # of log10 |gradient|
SCORE_EDGES = np.linspace(-5, 5, 81)  # of (activation - mean) / standard deviation
_CHUNK = 1 << 14
_SQUARES = 1e-250, 1e250  # sums of squares in this range have neither underflowed nor overflowed


class Summary(NamedTuple):
    """Norm, mean and variance over all elements, the share of dead units, and the share of the sample in each bin."""

    norm: float
    mean: float
    variance: float
    dead: float
    histogram: Array


def activation_summary(value: Array, *, histogram: bool = True) -> Summary:
    """Summarise a block's output; the histogram bins its elements by standard deviations from their mean."""
    norm, mean, variance, dead, sample = _measure(value, units=True, sampled=histogram)
    if not histogram:
        return Summary(norm, mean, variance, dead, np.full(len(SCORE_EDGES) - 1, np.nan))
    with np.errstate(all="ignore"):
        scores = (sample - mean) / np.sqrt(variance) if variance > 0 else np.zeros(len(sample))
    return Summary(norm, mean, variance, dead, _histogram(scores, SCORE_EDGES))


def gradient_summary(value: Any, *, histogram: bool = True) -> Summary:
    """Summarise a gradient; the histogram bins log10 of its absolute values, without exact zeros."""
    norm, mean, variance, _, sample = _measure(raw(value), units=False, sampled=histogram)
    if not histogram:
        return Summary(norm, mean, variance, np.nan, np.full(len(LOG_EDGES) - 1, np.nan))
    with np.errstate(all="ignore"):
        logs = np.log10(np.abs(sample))
    return Summary(norm, mean, variance, np.nan, _histogram(logs, LOG_EDGES))


def size(value: Any) -> float:
    """|value|, even if its squares are too small or too large for a float."""
    return sizes([value])[0]


def sizes(values: Sequence[Any]) -> list[float]:
    """`size` of each value; from a GPU in one copy."""
    arrays = [raw(value) for value in values]
    on_gpu = [ravel_k(a).astype("float64") for a in arrays if device_of(a) == "cuda"]
    figures = iter(to_floats(*(f for u in on_gpu for f in _sums(u))))  # in one copy
    known = ((next(figures), next(figures), next(figures)) if device_of(a) == "cuda" else None for a in arrays)
    return [_norm_and_mean(ravel_k(a), three)[0] for a, three in zip(arrays, known, strict=True)]


def dot(a: Any, b: Any) -> float:
    """The inner product, in float64."""
    a, b = raw(a), raw(b)
    u, v = (ravel_k(a), ravel_k(b)) if a.strides == b.strides else (a.reshape(-1), b.reshape(-1))
    if device_of(u) == "cuda":
        return to_floats((u.astype("float64") * v.astype("float64")).sum())[0]
    return sum(float((p * q).sum()) for p, q in zip(_chunks(u), _chunks(v), strict=True))


def dead_fraction(value: Array) -> float:
    """The share of units that are 0 for the whole batch: channels of (N, C, H, W), else entries of the last axis."""
    return to_floats(_dead(value))[0] if value.ndim >= 2 and value.size else np.nan


def _dead(value: Array) -> Any:
    units_last = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
    alive = (units_last != 0).reshape(-1, units_last.shape[-1]).any(axis=0)
    return 1 - alive.mean()


def _measure(value: Array, *, units: bool, sampled: bool = True) -> tuple[float, float, float, float, Array]:
    """Norm, mean, variance, share of dead units (NaN unless `units`), and a sample of the entries, in float64.

    sampled: otherwise the sample is empty.
    """
    flat, known = ravel_k(value), None
    units = units and value.ndim >= 2 and value.size > 0
    sample = flat[:0] if not sampled else flat if flat.size <= SAMPLE else flat[_sample_indices(flat.size)]
    if device_of(value) == "cpu" or not flat.size:
        dead, sample = dead_fraction(value) if units else np.nan, to_device(sample, "cpu").astype("float64")
    else:
        xp = namespace(flat)
        few = [*_sums(flat.astype("float64")), _dead(value) if units else xp.full((), np.nan)]
        found = to_device(xp.concatenate([xp.stack(few), sample.astype("float64")]), "cpu")
        (*known, dead), sample = found[:4].tolist(), found[4:]
    norm, mean = _norm_and_mean(flat, known)
    variance = max(norm * norm / flat.size - mean * mean, 0.0) if np.isfinite(mean) else np.nan
    return norm, mean, variance, dead, sample


def _sums(u: Array) -> tuple[Any, Any, Any]:
    """Sum of squares, sum, and largest absolute value, still on the array's device; zeros for an empty array."""
    return (u * u).sum(), u.sum(), abs(u).max() if u.size else u.sum()


def _norm_and_mean(flat: Array, known: Sequence[float] | None = None) -> tuple[float, float]:
    """|flat| and its mean; `known` are its `_sums`, if already computed."""
    if not flat.size:
        return 0.0, np.nan
    with np.errstate(all="ignore"):
        if known is None:
            squares, total = np.sum([(float((u * u).sum()), float(u.sum())) for u in _chunks(flat)], axis=0)
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


def _chunks(flat: Array) -> Iterator[Array]:
    """Chunks in float64, so that squares of small float32 gradients do not underflow; each fits in the cache.

    They are squared and summed without BLAS, whose threads would compete with those of the kernels.
    """
    return (flat[k : k + _CHUNK].astype("float64") for k in range(0, flat.size, _CHUNK))


@lru_cache
def _sample_indices(length: int) -> Array:
    """Random indices, drawn once so that steps can be compared. (A stride would hit the same channels every time.)"""
    return np.random.default_rng(0).integers(0, length, SAMPLE)


def _histogram(values: Array, edges: Array) -> Array:
    """The share of the values in each bin; the first and the last bin are open. NaN and infinities are not counted."""
    inside = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    return np.histogram(inside, edges)[0] / max(values.size, 1)
