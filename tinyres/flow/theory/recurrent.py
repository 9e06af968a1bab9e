"""Closed forms: what T steps of a recurrent net multiply a gradient's norm by.

Hochreiter & Schmidhuber 1997 [hochreiter1997long], "Long short-term memory"; Pascanu et al. 2013
[pascanu2013difficulty], "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

import math

from tinyres.flow.theory.gates import sigmoid

STEEPEST = {"linear": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}  # gamma: the largest |phi'|


def norm_bound(largest_singular: float, nonlinearity: str, steps: int) -> float:
    """(gamma s_max)^T: no cotangent's norm grows by more in T steps h' = phi(W h + input). (It may well shrink.)"""
    return (STEEPEST[nonlinearity] * largest_singular) ** steps


def cell_path(forget_bias: float, steps: int) -> float:
    """dc_T / dc_0 = sigmoid(b_f)^T along an LSTM's cell whose weights are zero."""
    return sigmoid(forget_bias) ** steps


def half_life(forget_bias: float) -> float:
    """The number of steps in which `cell_path` halves: log(1/2) / log(sigmoid(b_f))."""
    return math.log(0.5) / math.log(sigmoid(forget_bias))
