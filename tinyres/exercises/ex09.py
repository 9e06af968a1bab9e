"""A gate's bias is chosen for the depth: the deeper the net, the nearer to the identity its layers have to begin.

((1 - T)² + T²)^(L/2) = kept, T = sigmoid(b):  b = -ln((1 + s) / (1 - s)), s = sqrt(2 kept^(2/L) - 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinyres.exercises.expect import explain, function, number
from tinyres.flow.theory.gates import highway_gain

CASES = [(1, 0.8), (2, 0.9), (50, 0.4), (10, 0.1), (100, 0.5), (20, 0.99), (1000, 0.5), (50, 1e-4)]


def check(answer: Callable[[int, float], float]) -> None:
    """Put answer(layers, kept) into a net: what then reaches the bottom is to be `kept`, to one in a thousand."""
    bias = function(answer, "bias(layers, kept)")
    for layers, kept in CASES:
        where = f"{layers} layers, {kept:g} to be kept"
        b = number(bias(layers, kept), where)
        assert math.isfinite(b), f"{where}: the bias {b} came. Is there a root or a logarithm of a negative number?"
        found = highway_gain(b) ** (layers / 2) if abs(b) < 700 else 1.0
        if not math.isclose(found, kept, rel_tol=1e-3):
            raise AssertionError(
                f"{where}: the bias {b:.4g} came, with which {found:.3g} is kept. {_hint(b, layers, kept)}"
            )
        assert b < 0, f"{where}: the bias {b:.4g} opens the gates; as much is kept with {-b:.4g}, and they are closed."


def _logit(t: float) -> float:
    return math.log(t / (1 - t)) if 0 < t < 1 else math.nan


def _closed(gain: float) -> float:
    """The T below 1/2 with (1 - T)² + T² = gain."""
    return (1 - math.sqrt(2 * gain - 1)) / 2 if 0.5 <= gain <= 1 else math.nan


def _hint(b: float, layers: int, kept: float) -> str:
    gate = _closed(kept ** (2 / layers))
    usual = [
        (_logit(_closed(kept ** (1 / layers))), "That keeps so much of the squared length: its root is the length."),
        (_logit(1 - kept ** (1 / layers)), "The branch brings something back, too: T² a layer besides (1 - T)²."),
        (_logit(1 - kept ** (2 / layers)), "The branch brings something back, too: T² a layer besides (1 - T)²."),
        (_logit(_closed(kept**2)), "That is for one layer; here they multiply."),
        (gate, "That is T itself; the bias is what the sigmoid is taken of."),
        (math.log(gate), "ln T is not yet the bias: sigmoid(b) = T has b = ln(T / (1 - T))."),
    ]
    otherwise = "What does a layer multiply the squared length by? Set its power L/2 equal to `kept`, and solve for T."
    return explain(b, usual, otherwise, rel=1e-4, floor=0)


__all__ = ["check"]
