"""A check compares a number from the rule with one from the function, in a random direction, at a sensible step.

With J the Jacobian: <g, J d> = <J^T g, d> for random g and d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.exercises.expect import given

Array = np.ndarray
Function = Callable[[Array], Array]
Rule = Callable[[Array, Array], Array]


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _softmax_rule(x: Array, g: Array) -> Array:
    y = _softmax(x)
    return np.asarray(y * (g - (g * y).sum(axis=-1, keepdims=True)))


_RNG = np.random.default_rng(0)
_MATRIX, _SQUARE, _X = (_RNG.standard_normal(shape) for shape in ((4, 3), (3, 3), (2, 3)))
_ROW = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])

RIGHT: list[tuple[str, Function, Rule, Array, str]] = [
    ("tanh", np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2), _X, "Is the tolerance too tight, or the step too small?"),
    ("softmax", _softmax, _softmax_rule, _X, "Is the tolerance too tight, or the step too small?"),
    ("x @ W with a W of 3 x 4", lambda x: x @ _MATRIX.T, lambda x, g: g @ _MATRIX, _X,
     "x and y have different shapes there: g has y's, the direction has x's."),
    ("1000 x³ at x about 1000", lambda x: 1000 * x**3, lambda x, g: g * 3000 * x**2, 1000 * _X,
     "Numbers there are about 1e9: compare relative to their size, not with a fixed tolerance."),
    ("a constant", lambda x: 0 * x + 3, lambda x, g: 0 * x, _X,
     "A slope of zero is right there: a relative comparison alone divides zero by zero."),
]  # fmt: skip
WRONG: list[tuple[str, Function, Rule, Array, str]] = [
    ("a softmax whose rule subtracts the plain mean", _softmax,
     lambda x, g: _softmax(x) * (g - g.mean(axis=-1, keepdims=True)), _X,
     "With g of ones it cannot be seen: draw g at random."),
    ("a softmax whose rule returns zeros", _softmax, lambda x, g: 0 * x, _X,
     "With g of ones it cannot be seen: draw g at random."),
    ("tanh with the term of one element forgotten", np.tanh, lambda x, g: g * (1 - np.tanh(x) ** 2) * _ROW, _X,
     "Only one element is wrong: nudge all of them, in a random direction."),
    ("x @ W with W in place of its transpose", lambda x: x @ _SQUARE.T, lambda x, g: g @ _SQUARE.T, _X,
     "Only the shape is right there: compare numbers."),
    ("tanh x + 0.0001 sin x with the second term forgotten", lambda x: np.tanh(x) + 1e-4 * np.sin(x),
     lambda x, g: g * (1 - np.tanh(x) ** 2), _X,
     "The fault is 1e-4 of the slope: two-sided nudges of about 1e-5 in float64 err by less than 1e-8."),
    ("sin 40x with a rule for sin 40x as a coarse step sees it", lambda x: np.sin(40 * x),
     lambda x, g: g * 40 * np.cos(40 * x) * np.sinc(0.4 / np.pi), _X,
     "The rule is that of a step of 0.01: the step is too large."),
    ("tanh with a rule that returns NaN", np.tanh, lambda x, g: g * np.nan, _X,
     "NaN compares as false with everything: ask whether the error is small, not whether it is large."),
]  # fmt: skip


def check(answer: Callable[[Function, Rule, Array], bool]) -> None:
    """Try answer(function, backward, x) on right rules, which must pass, and on wrong ones, which must not."""
    given(answer, "is_right(function, backward, x)")
    for cases, wanted in ((RIGHT, True), (WRONG, False)):
        for name, function, rule, x, hint in cases:
            came: Any = answer(function, rule, x.copy())
            assert isinstance(came, bool | np.bool_), f"True or False is needed; for {name}, got {came!r}"
            verdict = "refuses a right rule" if wanted else "accepts a wrong rule"
            assert bool(came) is wanted, f"your checker {verdict}: {name}. {hint}"


STUB = """\
def is_right(function, backward, x):
    ...  # function(x) -> y;  backward(x, g) -> J^T g, of x's shape
    return True
"""  # as on the page

__all__ = ["STUB", "check"]
