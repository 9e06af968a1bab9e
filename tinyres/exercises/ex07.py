"""The gradient of L blocks is a sum over 2^L paths, and multiplying out a product of (1 + r z) counts them all at once.

share_k = [z^k] prod_l (1 + r_l z) / (1 + r_l).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from tinyres.exercises.expect import expect, explain, function

CASES: list[list[float]] = [
    [1.0, 0.5, 0.1], [1.0], [1.0, 1.0], [0.25], [1.0, 1.0, 1.0, 1.0], [0.25, 0.25, 0.25], [0.1, 0.5, 1.0],
    [4.0, 0.0, 0.3, 2.0, 0.7], [], [1 / (1 + 0.68 * k) for k in range(10)],
]  # fmt: skip


def check(answer: Callable[[Sequence[float]], Sequence[float]]) -> None:
    """Compare answer(gains) with all paths, one by one, for nets of up to ten blocks."""
    shares = function(answer, "shares(gains)")
    for gains in CASES:
        found = np.asarray(shares(list(gains)), dtype=float)
        where = f"gains {[round(r, 2) for r in gains]}"
        assert found.shape == (len(gains) + 1,), (
            f"{where}: {len(gains) + 1} numbers are needed, for 0 to {len(gains)} branches; got shape {found.shape}"
        )
        energies = _one_by_one(gains)
        needed = energies / energies.sum()
        expect(found, needed, where, partial(_hint, found, gains), rel=1e-9, floor=1e-12)


def _one_by_one(gains: Sequence[float]) -> np.ndarray:
    """By the definition: the product of the gains on a path, summed over all paths of each length."""
    lengths = range(len(gains) + 1)
    return np.array([sum(math.prod(path) for path in combinations(gains, k)) for k in lengths], dtype=float)


def _hint(found: np.ndarray, gains: Sequence[float]) -> str:
    length = len(gains)
    energies = _one_by_one(gains)
    counts = np.array([math.comb(length, k) for k in range(length + 1)], dtype=float)
    of_norms = _one_by_one(np.sqrt(gains).tolist())
    mean = float(np.mean(gains)) if length else 0.0
    in_order = np.cumprod([1.0, *gains])
    usual = [
        (energies, "These add up to more than 1: divide by their sum, which is the product of all 1 + r."),
        (counts / counts.sum(), "That is the number of paths; each carries the product of the gains on it."),
        (counts, "That is the number of paths; each carries the product of the gains on it."),
        (energies[::-1] / energies.sum(), "The order is reversed: the path that takes no branch comes first."),
        (of_norms / of_norms.sum(), "The gains already apply to the square; take no root."),
        (np.array([math.comb(length, k) * mean**k for k in range(length + 1)]) / (1 + mean) ** length,
         "That is for equal gains; here each block has its own."),
        (in_order / in_order.sum(), "That is one path of each length; there are C(L, k), one for each choice of k."),
    ]  # fmt: skip
    otherwise = (
        "Multiply out (1 + r_1 z)(1 + r_2 z)...: the coefficient of z^k belongs to k branches. Then divide by the sum."
    )
    return explain(found, usual, otherwise, rel=1e-9, floor=1e-12)


__all__ = ["check"]
