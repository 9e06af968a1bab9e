"""A number that is used twice moves the result along both routes, and what comes along them adds up.

The derivative of f(w) = w tanh(w x) is tanh(w x) + w x (1 - tanh²(w x)).
"""

from __future__ import annotations

import math
from collections.abc import Callable

POINTS = [(1.0, 0.5), (-0.7, 1.3), (2.0, -0.4), (0.3, 2.0), (0.0, 1.0)]


def check(answer: Callable[[float, float], float]) -> None:
    """Hold answer(w, x) against the derivative of w tanh(w x) with respect to w."""
    assert callable(answer), f"slope(w, x) is to be a function; what came is a {type(answer).__name__}"
    wrong = []
    for w, x in POINTS:
        came = answer(w, x)
        assert came is not None, "slope(w, x) returned None: does it end in a return?"
        if not math.isclose(float(came), _slope(w, x), rel_tol=1e-6, abs_tol=1e-9):
            wrong.append((w, x, float(came)))
    if wrong:
        w, x, came = wrong[0]
        raise AssertionError(
            f"slope({w:g}, {x:g}) gave {came:.6g}, but f has slope {_slope(w, x):.6g} there. {_hint(answer)}"
        )


def _slope(w: float, x: float) -> float:
    y = math.tanh(w * x)
    return y + w * x * (1 - y * y)


def _hint(answer: Callable[[float, float], float]) -> str:
    said: dict[str, Callable[[float, float, float], float]] = {
        "That is the route through the first factor alone: the w inside tanh moves as well.": lambda w, x, y: y,
        "That is the route through tanh alone: the w in front moves as well.": lambda w, x, y: w * x * (1 - y * y),
        "Both routes are there, but what comes along two routes is added, not multiplied.": lambda w, x, y: (
            y * w * x * (1 - y * y)
        ),
        "Inside tanh a nudge of w grows by x: the derivative of w x is missing.": lambda w, x, y: y + w * (1 - y * y),
        "That is the derivative with respect to x; w is the knob.": lambda w, x, y: w * w * (1 - y * y),
        "That is f itself; its derivative is asked for.": lambda w, x, y: w * y,
    }
    for sentence, mistake in said.items():
        if all(
            math.isclose(float(answer(w, x)), mistake(w, x, math.tanh(w * x)), rel_tol=1e-4, abs_tol=1e-9)
            for w, x in POINTS
        ):
            return sentence
    return "Nudge the first w alone, then the second w alone, and add what the two do."


__all__ = ["check"]
