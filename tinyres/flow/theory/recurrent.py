"""Recurrent nets in closed form: the gradient's norm over T steps, and one step's gradient by hand.

Hochreiter & Schmidhuber 1997 [hochreiter1997long], "Long short-term memory"; Gers et al. 2000 [gers2000learning],
"Learning to forget"; Pascanu et al. 2013 [pascanu2013difficulty], "On the difficulty of training recurrent neural
networks".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.flow.theory.gates import sigmoid

STEEPEST = {"linear": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}  # gamma: the largest |phi'|


def norm_bound(largest_singular: float, nonlinearity: str, steps: int) -> float:
    """Upper bound (gamma s_max)^T on a cotangent's growth over T steps h' = phi(W h + input). (It may well shrink.)"""
    return (STEEPEST[nonlinearity] * largest_singular) ** steps


def cell_path(forget_bias: float, steps: int) -> float:
    """dc_T / dc_0 = sigmoid(b_f)^T along the cell state of an LSTM with zero weights."""
    return sigmoid(forget_bias) ** steps


def half_life(forget_bias: float) -> float:
    """The number of steps after which `cell_path` has halved: log(1/2) / log(sigmoid(b_f))."""
    return math.log(0.5) / math.log(sigmoid(forget_bias))


def rnn_gradients(x: Any, h: Any, g: Any, w_ih: Any, w_hh: Any, bias: Any) -> tuple[Any, Any]:
    """dL/dx and dL/dh of an RNN step h' = tanh(x W_ih^T + h W_hh^T + b), by hand; g = dL/dh'."""
    at_sum = g * (1 - np.tanh(x @ w_ih.T + h @ w_hh.T + bias) ** 2)
    return at_sum @ w_ih, at_sum @ w_hh


def lstm_gradients(x: Any, h: Any, c: Any, g_h: Any, g_c: Any, w_ih: Any, w_hh: Any, bias: Any) -> tuple[Any, Any, Any]:
    """dL/dx, dL/dh and dL/dc of an LSTM step, by hand; g_h = dL/dh' and g_c = dL/dc'.

    i, f, g, o = x W_ih^T + h W_hh^T + b, c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c').
    """
    sums = np.split(x @ w_ih.T + h @ w_hh.T + bias, 4, axis=1)
    i, f, o = (1 / (1 + np.exp(-sums[k])) for k in (0, 1, 3))
    g = np.tanh(sums[2])
    new = np.tanh(f * c + i * g)
    at_cell = g_c + g_h * o * (1 - new**2)
    parts = [at_cell * g * i * (1 - i), at_cell * c * f * (1 - f), at_cell * i * (1 - g**2), g_h * new * o * (1 - o)]
    at_sums = np.concatenate(parts, axis=1)
    return at_sums @ w_ih, at_sums @ w_hh, at_cell * f
