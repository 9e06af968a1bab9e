"""Softmax, losses and their gradients in whole-array operations."""

import math

import numpy as np

from tinyres_kernels.namespace import Array, namespace
from tinyres_kernels.settings import Softmax


def softmax(x: Array, out: Array, s: Softmax) -> None:
    """`reference.softmax` in whole-array operations. About 30 M C bytes in float32."""
    xp = namespace(x, out)
    shifted = x - x.max(axis=1, keepdims=True)
    powers = xp.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    out[...] = shifted - xp.log(total) if s.log else powers / total


def softmax_dx(g: Array, y: Array, out: Array, s: Softmax) -> None:
    """`reference.softmax_dx` in whole-array operations. About 30 M C bytes in float32."""
    if s.log:
        out[...] = g - namespace(g, y).exp(y) * g.sum(axis=1, keepdims=True)
    else:
        out[...] = y * (g - (g * y).sum(axis=1, keepdims=True))


def cross_entropy(x: Array, target: Array, out: Array, probabilities: Array) -> None:
    """`reference.cross_entropy` in whole-array operations. About 30 M C bytes in float32."""
    xp = namespace(x, out)
    xp.subtract(x, x.max(axis=1, keepdims=True), out=probabilities)
    if xp is not np:  # whose index beyond the end raises an error; on a GPU the loss and its gradient are NaN
        outside = (target < 0) | (target >= x.shape[1])
        probabilities += xp.where(outside, math.nan, 0).astype(x.dtype)[:, None]
        target = xp.where(outside, 0, target)
    right = probabilities[xp.arange(len(x)), target]
    xp.exp(probabilities, out=probabilities)
    total = probabilities.sum(axis=1)
    xp.subtract(xp.log(total), right, out=out)
    probabilities /= total[:, None]


def cross_entropy_dx(g: Array, probabilities: Array, target: Array, out: Array) -> None:
    """`reference.cross_entropy_dx` in whole-array operations. About 16 M C bytes in float32."""
    xp = namespace(g, out)
    out[...] = probabilities
    rows = xp.arange(len(out))
    out[rows, target if xp is np else target.clip(0, out.shape[1] - 1)] -= 1
    out *= g[:, None]


def bce_with_logits(x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits`; both softplus share one logarithm. About 60 bytes an element in float32."""
    xp = namespace(x, out)
    shared = xp.log1p(xp.exp(-xp.abs(x)))
    out[...] = target * (xp.maximum(-x, 0) + shared)
    out += (1 - target) * (xp.maximum(x, 0) + shared)


def bce_with_logits_dx(g: Array, x: Array, target: Array, out: Array) -> None:
    """`reference.bce_with_logits_dx`. About 70 bytes an element in float32."""
    xp = namespace(g, out)
    power = xp.exp(-xp.abs(x))
    yes, no = xp.where(x > 0, 1, power), xp.where(x > 0, power, 1)
    out[...] = g * (((1 - target) * yes - target * no) / (1 + power))
