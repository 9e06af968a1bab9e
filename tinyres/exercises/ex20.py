"""Runs that share a seed are compared seed by seed: what the seed does to both drops out of the difference.

With d_i the difference at seed i, of n seeds: the mean of d, and the standard error sd(d) / sqrt(n), where the variance
is the sum of squares over n - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinyres.exercises.expect import expect, explain, function

Array = np.ndarray[Any, Any]
CASES: list[tuple[list[float], list[float]]] = [
    ([0.57, 0.50, 0.61], [0.47, 0.31, 0.38]),
    ([0.9, 0.2, 0.5, 0.7], [0.8, 0.15, 0.38, 0.55]),  # the seeds differ far more than the recipes
    ([1.0, 3.0], [2.0, 1.0]),
    ([5.0, 1.0, 4.0, 2.0, 8.0], [6.0, 3.0, 4.5, 3.0, 9.5]),  # a loss
    ([0.75, 0.5, 0.25], [0.5, 0.25, 0.0]),  # the same gain in each seed
]


def check(answer: Callable[[Array, Array], tuple[float, float]]) -> None:
    """Compare answer(with_it, without) with the paired difference, for two to five seeds."""
    gain = function(answer, "gain(with_it, without)")
    for with_it, without in CASES:
        where = f"gain({with_it}, {without})"
        came = np.asarray(gain(np.array(with_it), np.array(without)), dtype=float)
        assert came.shape == (2,), f"{where}: two numbers are needed, the gain and its error; got shape {came.shape}"
        d = np.subtract(with_it, without)
        mean, error = d.mean(), d.std(ddof=1) / np.sqrt(len(d))
        expect(came[0], mean, where, partial(_about_the_mean, came[0], d), said="the gain came out as {}, expected {}")
        said = "its standard error came out as {}, expected {}"
        expect(came[1], error, where, partial(_about_the_error, came[1], with_it, without), said=said)


def _about_the_mean(came: float, d: Array) -> str:
    usual = [
        (-d.mean(), "The sign is turned: a gain is what the trick adds."),
        (d.sum(), "That is the sum over seeds: take the mean."),
        (np.median(d), "That is the median."),
    ]
    return explain(came, usual, "Subtract seed by seed, and take the mean of the differences.")


def _about_the_error(came: float, with_it: list[float], without: list[float]) -> str:
    d, n = np.subtract(with_it, without), len(with_it)
    apart = np.var(with_it, ddof=1) + np.var(without, ddof=1)
    usual = [
        (np.sqrt(apart / n), "That is the error for other seeds in each group. Here the seeds are the same: first "
         "subtract, then take the spread."),
        (d.std() / np.sqrt(n), "The mean is that of the same n differences: divide the squares by n - 1, ddof=1."),
        (d.std(ddof=1), "That is the spread of one difference. The mean of n has sqrt(n) times less."),
        (d.std(), "That is the spread of one difference, with n in place of n - 1; the mean of n has less."),
        (d.var(ddof=1) / n, "That is the variance of the mean: take its root."),
        (d.std(ddof=1) / n, "The error of a mean falls with sqrt(n), not with n."),
    ]  # fmt: skip
    return explain(came, usual, "It is the standard deviation of the differences, with n - 1, over sqrt(n).")


__all__ = ["check"]
