"""A number that is used twice moves the result along both routes, and what comes along them adds up.

The derivative of f(w) = w tanh(w x) is tanh(w x) + w x (1 - tanh²(w x)).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinyres.exercises.expect import expect, explain, function, number

NEARLY = 0.02  # how far off a difference quotient is, roughly the size of the nudge
POINTS = [(1.0, 0.5), (-0.7, 1.3), (2.0, -0.4), (0.3, 2.0), (0.0, 1.0)]


def check(answer: Callable[[float, float], float]) -> None:
    """Compare answer(w, x) with the derivative of w tanh(w x) with respect to w."""
    slope = function(answer, "slope(w, x)")
    found = [number(slope(w, x), f"slope({w:g}, {x:g})") for w, x in POINTS]
    for (w, x), came in zip(POINTS, found, strict=True):
        expect(came, _slope(w, x), f"slope({w:g}, {x:g})", lambda: _hint(found))


def _slope(w: float, x: float) -> float:
    y = math.tanh(w * x)
    return y + w * x * (1 - y * y)


def _hint(found: list[float]) -> str:
    said: dict[str, Callable[[float, float, float], float]] = {
        "That is the route through the first factor alone: the w inside tanh moves as well.": lambda w, x, y: y,
        "That is the route through tanh alone: the w in front moves as well.": lambda w, x, y: w * x * (1 - y * y),
        "Both routes are there, but contributions along two routes are added, not multiplied.": lambda w, x, y: (
            y * w * x * (1 - y * y)
        ),
        "Inside tanh a nudge of w grows by x: the derivative of w x is missing.": lambda w, x, y: y + w * (1 - y * y),
        "Both contributions count with a plus: more of the w inside tanh moves tanh up.": lambda w, x, y: (
            y - w * x * (1 - y * y)
        ),
        "The derivative of tanh is 1 - tanh², and not (1 - tanh)².": lambda w, x, y: y + w * x * (1 - y) ** 2,
        "The derivative of tanh is 1 - tanh²: the square is missing.": lambda w, x, y: y + w * x * (1 - y),
        "That is the derivative with respect to x; w is the knob.": lambda w, x, y: w * w * (1 - y * y),
        "That is f itself; the exercise asks for its derivative.": lambda w, x, y: w * y,
    }
    mistakes = ([mistake(w, x, math.tanh(w * x)) for w, x in POINTS] for mistake in said.values())
    needed = [_slope(w, x) for w, x in POINTS]
    if explain(found, [(needed, "nearly")], "", rel=NEARLY, floor=NEARLY):
        return (
            "That is a nudge of a finite size, which comes near. The derivative is exact: do it with pencil and paper."
        )
    otherwise = "Write what the first w contributes alone, then what the second w contributes alone, and add the two."
    return explain(found, zip(mistakes, said, strict=True), otherwise, rel=1e-4)


__all__ = ["check"]
