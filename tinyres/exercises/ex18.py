"""What is nearly equal is compared by its differences: the correlation has long lost what they still know.

e = sum_i |u_i - mean u|² / (T - 1), with the unit vectors u_i = x_i / |x_i|.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyres.exercises.expect import expect, explain, function, number

SIZES = (1.0, 0.3, 1e-2, 1e-6, 1e-12, 1e-20)  # how far apart the tokens of each case are


def check(answer: Callable[[np.ndarray], float]) -> None:
    """Compare answer(x) with the distances of all pairs, for tokens of all lengths that are more and more alike."""
    apart = function(answer, "apart(x)")
    rng = np.random.default_rng(0)
    for e in SIZES:
        for tokens in (2, 5, 12):
            u, z = rng.standard_normal((1, 40)), rng.standard_normal((tokens, 40))
            # Powers of two, so that scaling rounds nothing.
            x = (np.sqrt(1 - e) * u + np.sqrt(e) * z) * 2.0 ** rng.integers(-3, 4, (tokens, 1))
            where = f"{tokens} tokens about {e:g} apart"
            found = number(apart(x.copy()), where)
            expect(found, _by_pairs(x), where, partial(_hint, found, x), rel=1e-3, floor=0.0)


def _unit(x: Any) -> Any:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _by_pairs(x: np.ndarray) -> float:
    """1 - cosine is half of the squared distance of two unit vectors."""
    u = _unit(x)
    pairs = [((u[i] - u[j]) ** 2).sum() / 2 for i in range(len(u)) for j in range(i)]
    return float(np.mean(pairs))


def _hint(found: float, x: np.ndarray) -> str:
    u, n = _unit(x), len(x)
    with np.errstate(all="ignore"):
        naive = 1 - ((u @ u.T).sum() - n) / (n * (n - 1))
        pearson = 1 - (np.corrcoef(x).sum() - n) / (n * (n - 1))
    raw = [((x[i] - x[j]) ** 2).sum() / 2 for i in range(n) for j in range(i)]
    usual = [
        (_by_pairs(x) * (n - 1) / n, "A token and itself are no pair: there are T (T - 1) pairs, not T²."),
        (2 * _by_pairs(x), "The squared distance of two unit vectors is 2 - 2 cos, so halve it."),
        (float(np.mean(raw)), "Scale each token to length 1 first."),
        (1 - _by_pairs(x), "That is the correlation; return 1 minus it."),
        (pearson, "This correlation takes no mean off: <x, y> / (|x| |y|)."),
    ]  # fmt: skip
    lost = "Right in exact arithmetic, but 1 - correlation has lost its digits: add up squared distances of the unit "
    lost += "vectors instead."
    otherwise = lost if abs(found - naive) <= 1e-13 * n else "1 - cos is half of the squared distance of unit vectors."
    return explain(found, usual, otherwise, rel=1e-6, floor=0.0)


__all__ = ["check"]
