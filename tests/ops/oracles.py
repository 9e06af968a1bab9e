"""Samples, oracles and the shape of a row: what the table of operations is written in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Sample = Callable[[np.random.Generator], np.ndarray]
Oracle = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    id: str
    primitive: str
    function: Callable[..., Any]
    oracle: Oracle
    samples: tuple[Sample, ...]
    empty: tuple[tuple[int, ...], ...] | None = None  # shapes of inputs with nothing in them, where that is defined
    allow_zero: bool = False  # the derivative is zero
    differentiable: bool = True
    analytic: bool = False  # takes complex arrays: checked by complex step as well
    float32: bool = True  # nothing float64 is closed over
    needs: str = ""  # a device without which the row cannot run

    def inputs(self, seed: int = 0) -> list[np.ndarray]:
        rng = np.random.default_rng([seed, *self.id.encode()])
        return [sample(rng) for sample in self.samples]


ROWS: list[Row] = []


def row(
    primitive: str, function: Callable[..., Any], oracle: Oracle, *samples: Sample, case: str = "", **more: Any
) -> None:
    name = f"{primitive}: {case}" if primitive and case else primitive or case
    ROWS.append(Row(name, primitive, function, oracle, samples, **more))


# -- samples --------------------------------------------------------------------------------------------------------
def normal(*shape: int) -> Sample:
    return lambda rng: rng.standard_normal(shape)


def away(*shape: int, from_: float = 0.0) -> Sample:
    """At least 0.2 from a kink."""
    return lambda rng: from_ + rng.choice([-1.0, 1.0], shape) * (0.2 + rng.random(shape) * 1.5)


def positive(*shape: int) -> Sample:
    return lambda rng: 0.3 + 2 * rng.random(shape)


def distinct(*shape: int) -> Sample:
    """No two closer than 0.1: the winner of a maximum stays the winner."""
    return lambda rng: (rng.permutation(math.prod(shape)).reshape(shape) - 0.4 * math.prod(shape)) * 0.1


# -- oracles --------------------------------------------------------------------------------------------------------
def each(f: Callable[..., float]) -> Oracle:
    """A formula for single numbers, broadcast over arrays."""
    return np.vectorize(f, otypes=[np.float64])


def each_bool(f: Callable[..., bool]) -> Oracle:
    return np.vectorize(f, otypes=[np.bool_])


def lines(f: Callable[[list[float]], float], axis: tuple[int, ...], keepdims: bool = False) -> Oracle:
    """A formula for a list of numbers, applied over `axis` by plain loops."""

    def apply(x: np.ndarray) -> np.ndarray:
        drop = [a % x.ndim for a in axis]
        keep = [a for a in range(x.ndim) if a not in drop]
        out = np.empty([x.shape[a] for a in keep])
        for at in np.ndindex(*out.shape):
            key: list[Any] = [slice(None)] * x.ndim
            for a, i in zip(keep, at, strict=True):
                key[a] = i
            out[at] = f([float(v) for v in x[tuple(key)].ravel()])
        return out.reshape([1 if a in drop else n for a, n in enumerate(x.shape)]) if keepdims else out

    return apply


def placed(shape: tuple[int, ...], where: Callable[..., tuple[int, ...]]) -> Oracle:
    """Element by element: out[where(index of an element of x)] += that element."""

    def apply(x: np.ndarray) -> np.ndarray:
        out = np.zeros(shape)
        for at in np.ndindex(*x.shape):
            out[where(*at)] += x[at]
        return out

    return apply


def gathered(shape: tuple[int, ...], source: Callable[..., tuple[int, ...]]) -> Oracle:
    """Element by element: out[index] = x[source(index)]."""

    def apply(x: np.ndarray) -> np.ndarray:
        out = np.empty(shape)
        for at in np.ndindex(*shape):
            out[at] = x[source(*at)]
        return out

    return apply


def largest(values: list[float]) -> float:
    return sorted(values)[-1]


def smallest(values: list[float]) -> float:
    return sorted(values)[0]


def log_sum_exp(values: list[float]) -> float:
    return math.log(math.fsum(map(math.exp, values)))


def variance(correction: int) -> Callable[[list[float]], float]:
    def of(values: list[float]) -> float:
        centre = math.fsum(values) / len(values)
        return math.fsum((v - centre) ** 2 for v in values) / (len(values) - correction)

    return of
