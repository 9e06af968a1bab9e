"""A branch counts for as much as it adds to the stream: the louder the stream already is, the less a block matters.

With q_l = 1 + s_1² + ... + s_l², the mean number of branches is sum_l s_l² / q_l.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from tinyres.exercises.expect import expect, explain, function, number

CASES: list[list[float]] = [
    [1.0, 0.5, 3.0], [1.0], [2.0], [0.5, 0.5], [1.0] * 24, [3.0, 0.1, 0.1, 3.0], [0.1, 3.0], [3.0, 0.1], [0.0, 1.0], [],
]  # fmt: skip


def check(answer: Callable[[Sequence[float]], float]) -> None:
    """Compare answer(s) with the sum over blocks, for nets of several depths and gains."""
    mean_length = function(answer, "mean_length(s)")
    for gains in CASES:
        where = f"gains {gains if len(gains) < 8 else f'{gains[:2]} ... ({len(gains)} blocks)'}"
        found = number(mean_length(list(gains)), where)
        expect(found, _by_blocks(gains), where, partial(_hint, found, gains), rel=1e-9, floor=1e-12)


def _by_blocks(gains: Sequence[float]) -> float:
    """One block after the other: r = s² / q below it, and r / (1 + r) is the chance of its branch."""
    q, total = 1.0, 0.0
    for s in gains:
        r = s * s / q
        total += r / (1 + r)
        q += s * s
    return total


def _hint(found: float, gains: Sequence[float]) -> str:
    s = np.asarray(gains, float)
    squares = s * s
    below = 1 + np.concatenate([[0.0], np.cumsum(squares)])[:-1] if len(s) else squares
    plain = 1 + np.concatenate([[0.0], np.cumsum(s)])[:-1] if len(s) else s
    usual = [
        ((squares / below).sum(), "That is the sum of r. A branch is on the path with the share r / (1 + r)."),
        ((squares / (1 + squares)).sum(), "That is post-LN, whose stream has variance 1 before each block. Here it "
         "grows by s² per block."),
        ((s / (plain + s)).sum(), "Variances and squared gradients go with s², not with s."),
        (len(s) / 2, "That is half of the blocks, as if branch and skip were alike in each."),
        ((1 / (1 + below)).sum(), "Each branch adds s² to the variance, and sends back s² over the variance below."),
    ]  # fmt: skip
    otherwise = (
        "The stream enters block l with q = 1 + the s² of all blocks below. The norm divides the branch by q, so "
        "r = s² / q, and the branch is on the path with the share r / (1 + r)."
    )
    return explain(found, usual, otherwise, rel=1e-9, floor=1e-12)


__all__ = ["check"]
