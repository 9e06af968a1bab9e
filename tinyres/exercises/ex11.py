"""Two players descend two slopes, which no single loss has: what one does to the other returns with opposite sign.

With L_D = softplus(-ψ c) + softplus(ψ θ) and L_G = softplus(-ψ θ): θ moves by ψ σ(-ψ θ), ψ by c σ(-ψ c) - θ σ(ψ θ).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tinyres.exercises.expect import expect, explain, function

POINTS = [(1.0, 0.5, 0.0), (0.4, -1.2, 0.9), (-1.5, 0.8, 0.3), (2.0, 1.1, -0.7), (0.6, 0.7, 0.6), (-0.3, -2.0, -1.4)]

Moves = Callable[[float, float, float], Sequence[float]]


def check(answer: Moves) -> None:
    """Compare answer(theta, psi, c) with both derivatives, at points where no two terms are alike."""
    moves = function(answer, "moves(theta, psi, c)")
    found = [_pair(moves(*point)) for point in POINTS]
    for word, k in (("theta", 0), ("psi", 1)):
        for point, pair in zip(POINTS, found, strict=True):
            where, said = "moves(theta={:g}, psi={:g}, c={:g})".format(*point), f"{word} moves by {{}}, expected {{}}"
            expect(pair[k], _moves(*point)[k], where, partial(_hint, found, k), said=said, rel=1e-5, floor=1e-8)


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _moves(theta: float, psi: float, c: float) -> tuple[float, float]:
    return psi * _sigma(-psi * theta), c * _sigma(-psi * c) - theta * _sigma(psi * theta)


def _pair(came: Any) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in came)
    except (TypeError, ValueError):
        raise AssertionError(f"two numbers are needed, the moves of theta and of psi; got {came!r}") from None
    return first, second


def _hint(found: list[tuple[float, float]], k: int) -> str:
    """The mistake that explains component k at all points."""
    mistakes: list[dict[str, Moves]] = [
        {
            "That is uphill: a player moves against the derivative of its loss.": lambda t, p, c: [
                -part for part in _moves(t, p, c)
            ],
            "The two are swapped: theta, which is G's, comes first.": lambda t, p, c: _moves(t, p, c)[::-1],
        },
        {
            "That is the saturating game, -softplus(psi theta); G goes down softplus(-psi theta).": lambda t, p, c: [
                p * _sigma(p * t)
            ],
            "That is G going down D's loss: it has one of its own.": lambda t, p, c: [-p * _sigma(p * t)],
            "The derivative of psi theta with respect to theta is missing: multiply by psi.": lambda t, p, c: [
                _sigma(-p * t)
            ],
            "Only D's loss contains c; G's loss does not.": lambda t, p, c: [p * _sigma(-p * (t - c))],
        },
        {
            "That is what the fake does to D alone; the data at c push it, too.": lambda t, p, c: [
                0, -t * _sigma(p * t)
            ],
            "That is what the data do to D alone; the fake pushes it, too.": lambda t, p, c: [0, c * _sigma(-p * c)],
            "The two terms of D's loss pull in opposite directions: real up, fake down.": lambda t, p, c: [
                0, c * _sigma(-p * c) + t * _sigma(p * t)
            ],
            "D goes down its own loss, not G's.": lambda t, p, c: [0, t * _sigma(-p * t)],
            "The derivatives of psi c and psi theta with respect to psi are missing: c and theta.": lambda t, p, c: [
                0, _sigma(-p * c) - _sigma(p * t)
            ],
        },
    ]  # fmt: skip
    usual = [([f(*point)[k] for point in POINTS], said) for said, f in (mistakes[0] | mistakes[1 + k]).items()]
    otherwise = (
        "Differentiate L_G with respect to theta and L_D with respect to psi, by the chain rule through softplus. "
        "Give both a minus sign."
    )
    return explain([pair[k] for pair in found], usual, otherwise, rel=1e-4, floor=1e-8)


__all__ = ["check"]
