"""Closed forms: what gates that do not look at their input yet multiply the squared gradient by.

Srivastava et al. 2015 [srivastava2015training], "Training very deep networks"; Hu et al. 2018 [hu2018squeeze],
"Squeeze-and-excitation networks".
"""

from __future__ import annotations

import math


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))


def highway_gain(bias: float) -> float:
    """The squared gain (1 - T)^2 + T^2 of a Highway layer with zero gate weights, T = sigmoid(bias), unit-gain H."""
    gate = sigmoid(bias)
    return (1 - gate) ** 2 + gate**2


def excitation_gain(branch: float, skip: float) -> float:
    """The squared gain skip^2 + branch^2 / 4 of y = skip x + branch s F(x), where a zero last layer makes s = 1/2."""
    return skip**2 + branch**2 / 4
