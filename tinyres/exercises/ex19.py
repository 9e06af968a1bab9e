"""Dividing rows and columns in turn makes any logits doubly stochastic, if nothing overflows on the way.

M = diag(a) exp(logits) diag(b), with the a and b for which all rows and columns sum to 1: only one such M exists.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyres.exercises.expect import expect, explain, function

ITERATIONS = 3000
CASES = ("small", "large", "shifted", "one", "wide")


def check(answer: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Compare answer(logits, iterations) with scaling in logarithms: small and large logits, and shifted ones."""
    sinkhorn = function(answer, "sinkhorn(logits, iterations)")
    for name in CASES:
        logits = _logits(name)
        with np.errstate(all="ignore"):
            came = np.asarray(sinkhorn(logits.copy(), ITERATIONS), float)
        where = f"{name} logits, {len(logits)} streams"
        assert came.shape == logits.shape, f"{where}: needs shape {logits.shape}, got shape {came.shape}"
        needed = _in_logarithms(logits)
        expect(came, needed, where, partial(_hint, came, logits), rel=1e-4, floor=1e-5)


def _logits(name: str) -> np.ndarray:
    rng = np.random.default_rng(CASES.index(name))
    n = 1 if name == "one" else 6 if name == "wide" else 4
    logits = rng.standard_normal((n, n))
    if name == "large":
        return logits + 1000
    if name == "shifted":  # each row and column by a number of its own, which Sinkhorn must divide out
        return logits + 800 * rng.standard_normal((n, 1)) + rng.standard_normal((1, n))
    return logits


def _in_logarithms(logits: Any) -> Any:
    """The same division, as subtraction of logarithms of sums."""
    x = logits
    for _ in range(ITERATIONS):
        for axis in (1, 0):
            top = x.max(axis=axis, keepdims=True)
            x = x - top - np.log(np.exp(x - top).sum(axis=axis, keepdims=True))
    return np.exp(x)


def _hint(came: np.ndarray, logits: np.ndarray) -> str:
    if not np.isfinite(came).all():
        return (
            "exp overflows beyond 709, and rows or columns that underflow to 0 cannot be divided: first subtract each "
            "row's largest logit. The division takes it out again."
        )
    if (came < 0).any():
        return "Entries must be at least 0: take the exponential."
    rows, columns = (np.abs(came.sum(axis=axis) - 1).max() for axis in (1, 0))
    if rows > 1e-3 and columns > 1e-3:
        return "Neither rows nor columns sum to 1: divide rows by their sums, then columns by theirs, many times."
    if rows > 1e-3:
        return (
            "The columns sum to 1, but not the rows; keep taking turns. If a row has vanished, subtract each row's "
            "own largest logit rather than the largest of all."
        )
    if columns > 1e-3:
        return "The rows sum to 1, but not the columns; keep taking turns."
    n = len(logits)
    usual = [
        (np.full((n, n), 1 / n), "That is the mean of all streams, whatever the logits are."),
        (_in_logarithms(logits).T, "Rows and columns are exchanged."),
        (_in_logarithms(-logits), "The sign of the logits is turned."),
    ]
    return explain(
        came,
        usual,
        "Doubly stochastic, but not of these logits: only divide rows and columns of exp.",
        rel=1e-4,
        floor=1e-5,
    )


__all__ = ["check"]
