"""Indices drawn with given probabilities."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinyres.arrays import device_of, to_device
from tinyres.arrays.random import Rng, rng_of
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import Tensor, raw
from tinyres.ops.creation import made
from tinyres.refusals.kinds import FLAG


@public
def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Rng = None) -> Tensor:
    """Indices of each row, drawn with probabilities in proportion to its entries: w[i] / sum(w).

    The rows need not sum to 1. Without replacement no index comes twice in a row: each draw is among those that are
    left, in proportion to their entries. An entry of 0 is never drawn. There is no gradient.

    Without replacement the indices with the smallest E[i] / w[i] are taken, with E drawn from the exponential
    distribution (Efraimidis & Spirakis 2006 [efraimidis2006weighted], "Weighted random sampling with a reservoir").

    Args:
        input: weights of shape (n,) or (B, n), at least 0, of a floating dtype.
        num_samples: how many to draw in each row.
        generator: a `numpy.random.Generator` or a seed; by default the one that `tr.manual_seed` seeds.

    Returns:
        int64, of shape (num_samples,) or (B, num_samples), in the order of the draws.

    Raises:
        TypeError: the input is not of a floating dtype.
        ValueError: it has no or more than two axes, an entry that is negative, infinite or NaN, or a row that is all
            zeros; num_samples is below 1; or, without replacement, a row has fewer entries above 0.
    """
    given = raw(input)
    if given.dtype.kind != "f":
        raise TypeError(f"multinomial: needs probabilities of a floating dtype, got {given.dtype}; write x.float()")
    if given.ndim not in (1, 2):
        raise ValueError(f"multinomial: needs shape (n,) or (B, n), got {given.shape}")
    if operator.index(num_samples) < 1:
        raise ValueError(f"multinomial: num_samples must be at least 1, got {num_samples}")
    rows = np.atleast_2d(np.asarray(to_device(given, "cpu"), np.float64))
    if not ((rows >= 0) & (rows < np.inf)).all():  # a NaN is neither
        raise ValueError("multinomial: an entry is negative, infinite or NaN; softmax makes probabilities of scores")
    possible = int((rows > 0).sum(1).min(initial=rows.shape[1]))
    if not possible:
        raise ValueError("multinomial: a row is all zeros, so that nothing can be drawn from it")
    FLAG.check("multinomial", "replacement", replacement)
    if not replacement and num_samples > possible:
        raise ValueError(
            f"multinomial: cannot draw {num_samples} of {possible} entries above 0 without replacement; ask for fewer, "
            "or pass replacement=True"
        )
    drawn = (_again if replacement else _once)(rows, int(num_samples), rng_of(generator))
    return made(drawn.reshape(*given.shape[:-1], int(num_samples)), device_of(given))


def _again(rows: Any, count: int, rng: np.random.Generator) -> Any:
    """With replacement: where uniform numbers fall among the sums from the left."""
    sums = np.cumsum(rows / rows.max(1, keepdims=True), axis=1)  # of (0, 1], so that no sum overflows
    sums /= sums[:, -1:]
    draws = rng.random((len(rows), count))
    found = [np.searchsorted(line, u, side="right") for line, u in zip(sums, draws, strict=True)]
    return np.array(found, np.int64).reshape(len(rows), count)


def _once(rows: Any, count: int, rng: np.random.Generator) -> Any:
    """Without replacement: who arrives first, if each comes at the rate of its entry."""
    with np.errstate(divide="ignore"):  # log 0: it never comes
        arrival = np.log(rng.standard_exponential(rows.shape)) - np.log(rows)
    return np.argsort(arrival, axis=1, kind="stable")[:, :count].astype(np.int64)


__all__ = ["multinomial"]
