"""A gate's bias is chosen for the depth: the deeper the net, the nearer to the identity its layers must start.

((1 - T)² + T²)^(L/2) = kept, T = sigmoid(b):  b = -ln((1 + s) / (1 - s)), s = sqrt(2 kept^(2/L) - 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tinyres.exercises.expect import explain, function, number
from tinyres.flow.theory.gates import highway_gain

CASES = [(1, 0.8), (2, 0.9), (50, 0.4), (10, 0.1), (100, 0.5), (20, 0.99), (1000, 0.5), (50, 1e-4)]


def check(answer: Callable[[int, float], float]) -> None:
    """Put answer(layers, kept) into a net: `kept` must reach the bottom, to one part in a thousand."""
    bias = function(answer, "bias(layers, kept)")
    for layers, kept in CASES:
        where = f"{layers} layer{'s' * (layers != 1)}, {kept:g} to keep"
        b = number(bias(layers, kept), where)
        assert math.isfinite(b), f"{where}: got the bias {b}. Is there a root or a logarithm of a negative number?"
        found = highway_gain(b) ** (layers / 2) if abs(b) < 700 else 1.0
        if not math.isclose(found, kept, rel_tol=1e-3):
            raise AssertionError(f"{where}: got the bias {b:.4g}, which keeps {found:.3g}. {_hint(b, layers, kept)}")
        assert b < 0, f"{where}: the bias {b:.4g} opens the gates; {-b:.4g} keeps as much with closed gates."


def _logit(t: float) -> float:
    return math.log(t / (1 - t)) if 0 < t < 1 else math.nan


def _closed(gain: float) -> float:
    """The T below 1/2 with (1 - T)² + T² = gain."""
    return (1 - math.sqrt(2 * gain - 1)) / 2 if 0.5 <= gain <= 1 else math.nan


def _hint(b: float, layers: int, kept: float) -> str:
    gate = _closed(kept ** (2 / layers))
    usual = [
        (_logit(_closed(kept ** (1 / layers))), "That keeps this share of the squared length: the length is its root."),
        (_logit(1 - kept ** (1 / layers)), "The branch brings something back, too: T² a layer besides (1 - T)²."),
        (_logit(1 - kept ** (2 / layers)), "The branch brings something back, too: T² a layer besides (1 - T)²."),
        (_logit(_closed(kept**2)), "That is for one layer; the layers multiply."),
        (gate, "That is T itself; T is the sigmoid of the bias."),
        (math.log(gate), "ln T is not yet the bias: sigmoid(b) = T gives b = ln(T / (1 - T))."),
    ]
    otherwise = "By what does a layer multiply the squared length? Set its power L/2 equal to `kept`, and solve for T."
    return explain(b, usual, otherwise, rel=1e-4, floor=0)


__all__ = ["check"]
