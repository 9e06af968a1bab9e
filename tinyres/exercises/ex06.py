"""The squared gradient is kept if the weights undo the mean *square* of the units' slopes.

chi = s_w² E[slope²] = 1; a unit with slope 1 or a, kept with probability p and then divided by p: (1 + a²) / 2p.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinyres.exercises.expect import explain, function, number

CASES = [(0.0, 1.0), (0.5, 1.0), (0.0, 0.8), (1.0, 1.0), (-1.0, 1.0), (0.5, 0.5), (0.1, 0.8), (1.0, 0.25), (2.0, 0.9)]
DEPTH = 40


def check(answer: Callable[[float, float], float]) -> None:
    """Compare answer(a, p) with 2 p / (1 + a²), for leaks and dropouts of many sizes."""
    variance = function(answer, "variance(a, p)")
    for a, p in CASES:
        where = f"a = {a:g}, p = {p:g}"
        came, needed = number(variance(a, p), where), 2 * p / (1 + a * a)
        assert np.isclose(came, needed, rtol=1e-6, atol=0), (
            f"{where}: got s_w² = {came:.4g}, {_consequence(came / needed)} {_hint(came, a, p)}"
        )


def _consequence(chi: float) -> str:
    if not (np.isfinite(chi) and chi > 0):
        return "a variance with which weights pass no gradient on."
    return f"a variance with which {DEPTH} layers multiply the squared gradient by {chi**DEPTH:.2g}."


def _hint(came: float, a: float, p: float) -> str:
    """What the usual mistakes amount to; a = 0 and p = 1 come first, so that each is told by its own case."""
    usual = [
        (np.sqrt(2 * p / (1 + a * a)), "That is the standard deviation; the exercise asks for the variance."),
        (1.0, "Half of a ReLU's units have slope 0: the mean of the squared slopes is 1/2, not 1."),
        ((1 + a * a) / (2 * p), "That is the mean of the squared slopes; the weights have to undo it."),
        (2.0 * p, "The half with slope a also passes a gradient on."),
        (2 * p / (1 + a), "Squares add up: slope a contributes a²."),
        (2 / (1 + a * a), "What dropout keeps is divided by p: a share p of the units has slope 1/p, squared 1/p²."),
        (2 * p * p / (1 + a * a), "The slope is 1/p, squared 1/p², but only a share p of the units has it."),
        (2 / (p * (1 + a * a)), "Dropout makes the mean of the squared slopes larger, 1/p times: the weights shrink."),
    ]
    return explain(came, usual, "What is the mean of slope² over all units? s_w² times that mean must be 1.")


__all__ = ["check"]
