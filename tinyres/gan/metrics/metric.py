"""What an answer is, and the check of what was asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinyres.autograd.tensor import raw

Array: TypeAlias = np.ndarray[Any, Any]

GIVEN = "the given features"  # where the caller does not say what they are


@dataclass(frozen=True)
class Metric:
    """One figure with everything needed to interpret it; `str` says it in one sentence.

    Attributes:
        extractor: what the features are, e.g. "pixels".
        samples: how many, of each side.
        error: one standard error; NaN where it is not known.
        note: what a reader has to know in order not to be misled.
    """

    name: str
    value: float
    extractor: str
    samples: tuple[int, ...]
    error: float = math.nan
    note: str = ""

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        spread = "" if math.isnan(self.error) else f" ± {self.error:.2g}"
        return sentence(f"{self.name} {self.value:.4g}{spread}", self.extractor, self.samples, self.note)


def sentence(found: str, extractor: str, samples: tuple[int, ...], note: str) -> str:
    """The one form in which every result is told."""
    counts = " against ".join(f"{n:,}" for n in samples)
    return f"{found} in {extractor}, {counts} samples" + (f"; {note}" if note else "")


def checked(function: str, argument: str, features: Any, least: int = 2) -> Array:
    """Features as finite float64 (N, d) with N >= `least` and d >= 1.

    Raises:
        TypeError: no real numbers.
        ValueError: another shape, too few samples, NaN or infinity.
    """
    given = np.asarray(raw(features))
    if given.dtype.kind not in "fiu":
        raise TypeError(f"{function}: {argument} must hold real numbers, got {given.dtype}")
    if given.ndim != 2 or given.shape[1] == 0:
        raise ValueError(
            f"{function}: {argument} must have shape (samples, features), got {given.shape}; "
            "flatten images with x.reshape(len(x), -1)"
        )
    if len(given) < least:
        raise ValueError(f"{function}: {argument} needs at least {least} samples, got {len(given)}")
    bad = ~np.isfinite(given).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{function}: {argument} holds NaN or infinity in {bad.sum()} of {len(given)} samples, the first of them "
            f"number {np.argmax(bad)}; look for where the generator diverged"
        )
    return given.astype(np.float64)


def checked_pair(function: str, names: tuple[str, str], a: Any, b: Any, least: int = 2) -> tuple[Array, Array]:
    """Two sets of `checked` features of the same kind.

    Raises:
        ValueError: features of different length, besides what `checked` raises.
    """
    first, second = (checked(function, name, x, least) for name, x in zip(names, (a, b), strict=True))
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{function}: rows must be equally long, those of {names[0]} have {first.shape[1]} numbers and those of "
            f"{names[1]} {second.shape[1]}; features: take both with the same extractor"
        )
    return first, second
