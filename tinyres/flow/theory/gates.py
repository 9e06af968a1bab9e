"""Gradient gain of gates in closed form: Highway layers and squeeze-and-excitation, at initialisation and in general.

Srivastava et al. 2015 [srivastava2015training], "Training very deep networks"; Hu et al. 2018 [hu2018squeeze],
"Squeeze-and-excitation networks". The gains are our own algebra.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))


def highway_gain(bias: float) -> float:
    """The squared gain (1 - T)^2 + T^2 of a Highway layer with zero gate weights, T = sigmoid(bias), unit-gain H."""
    gate = sigmoid(bias)
    return (1 - gate) ** 2 + gate**2


def highway_log_variance(bias: float, width: int) -> float:
    """Variance over random nets of the log of a Highway layer's squared gain, to leading order in 1 / width n.

        (7 T^4 + 4 T^2 (1 - T)^2) / (n gain^2)

    The branch's own squared gain varies by 7 / n (2 / n for each of its two matrices, 3 / n for the mask between
    them), and its product with the skip's gradient, which is 0 on average, by 1 / n.
    """
    gate = sigmoid(bias)
    return (7 * gate**4 + 4 * gate**2 * (1 - gate) ** 2) / (width * highway_gain(bias) ** 2)


def excitation_gain(branch: float, skip: float) -> float:
    """The squared gain skip^2 + branch^2 / 4 of y = skip x + branch s F(x), where a zero last layer makes s = 1/2."""
    return skip**2 + branch**2 / 4


def highway_gradient(x: Array, g: Array, w1: Array, w2: Array, gate: Array, bias: float) -> Array:
    """dL/dx of a Highway layer y = T H + (1 - T) x, H = relu(x W1) W2, T = sigmoid(x W + b), by hand; x, g (N, n).

    (1 - T) g  +  H'^T (T g)  +  ((H - x) T (1 - T) g) W^T        past the gate, through H, through the gate
    """
    hidden = x @ w1
    t = 1 / (1 + np.exp(-(x @ gate + bias)))
    h = np.maximum(hidden, 0) @ w2
    through_h = (((t * g) @ w2.T) * (hidden > 0)) @ w1.T
    through_gate = ((h - x) * t * (1 - t) * g) @ gate.T
    total: Array = (1 - t) * g + through_h + through_gate
    return total


def excitation_gradient(x: Array, g: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    """dL/dx of squeeze-and-excitation y = x s, s = sigmoid(W2 relu(W1 mean(x) + b1) + b2), by hand; x, g (N, C, H, W).

    s g  +  W1^T relu' W2^T (s (1 - s) sum of g x over the pixels) / (H W)        along the channel, through the gate
    """
    hidden = x.mean(axis=(2, 3)) @ w1.T + b1  # (N, C / r)
    s = 1 / (1 + np.exp(-(np.maximum(hidden, 0) @ w2.T + b2)))  # (N, C)
    at_gate = s * (1 - s) * (g * x).sum(axis=(2, 3))
    mean = ((at_gate @ w2) * (hidden > 0)) @ w1  # (N, C): the cotangent of the means
    total: Array = s[:, :, None, None] * g + mean[:, :, None, None] / (x.shape[2] * x.shape[3])
    return total
