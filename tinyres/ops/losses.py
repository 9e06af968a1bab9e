"""Losses of numbers: regression, probabilities, divergence. Those of classes are in `likelihood.py`.

The one that takes logits is a fused operation; the others are composed of primitives. A value out of range raises an
error on the CPU; on a GPU its loss is NaN, since checking would mean waiting for the GPU at every step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import device_of, kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.ops.activation import softplus
from tinyres.ops.elementwise import abs, exp, floating, log, log1p, sqrt, where
from tinyres.ops.likelihood import cross_entropy, nll_loss
from tinyres.ops.reduction import sum
from tinyres.ops.targets import alike, factor, reduced

TINY = 1e-12  # added to squared lengths, so that a vector of zeros has a cosine


def _contiguous(a):
    return namespace(a).asarray(a, order="C")  # `ascontiguousarray` would turn the shape () into (1,)


@primitive(decomposition=lambda input, target: target * softplus(-input) + (1 - target) * softplus(input))
def binary_cross_entropy_with_logits_(input, target):
    x, t = _contiguous(input), _contiguous(target)
    return kernels_for(x).bce_with_logits(x, t, namespace(x).empty_like(x))


def _logit_dx(g, input, target):
    x, t = _contiguous(input), _contiguous(target)
    return kernels_for(x).bce_with_logits_dx(_contiguous(g), x, t, namespace(x).empty_like(x))


binary_cross_entropy_with_logits_.vjp(input=_logit_dx, target=lambda g, input: -g * input)


@public
def binary_cross_entropy(input: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    """Binary cross-entropy: -(t log p + (1 - t) log(1 - p)) for probabilities p and targets t.

    As in PyTorch, logarithms are limited to at least -100, so that a confident mistake has a finite loss. The
    gradient is 0 there, where PyTorch's is up to 1e12. `binary_cross_entropy_with_logits` has neither limit.

    Args:
        weight: a factor for each loss, which may broadcast to the shape of input.

    Raises:
        ValueError: the shapes differ, or a probability is outside [0, 1] (on a GPU, its loss is NaN instead).
    """
    op = "binary_cross_entropy"
    target, weight = alike(op, input, target), None if weight is None else factor(op, "weight", weight, input)
    p = raw(input)
    outside = (p < 0) | (p > 1)
    if device_of(p) == "cpu" and outside.any():
        raise ValueError(
            f"{op}: input must be probabilities in [0, 1], got values from {p.min():.4g} to {p.max():.4g}; "
            "for logits use binary_cross_entropy_with_logits"
        )
    values = -(target * _limited(log, input, 0.0) + (1 - target) * _limited(log1p, -input, -1.0))
    values = values if device_of(p) == "cpu" else where(wrap(outside), math.nan, values)
    return reduced(op, values if weight is None else values * weight, reduction)


@public
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Binary cross-entropy from logits x: -(t log sigmoid(x) + (1 - t) log sigmoid(-x)), t the targets.

    It is computed as t softplus(-x) + (1 - t) softplus(x). Both terms are positive, so there is no cancellation.

    Args:
        weight: a factor for each loss, which may broadcast to the shape of input.
        pos_weight: a factor for the first term alone, so that rare positives count more; it broadcasts likewise.

    Raises:
        ValueError: the shapes differ.
    """
    op, input = "binary_cross_entropy_with_logits", floating(input)
    target, weight = alike(op, input, target), None if weight is None else factor(op, "weight", weight, input)
    if pos_weight is None:
        values = binary_cross_entropy_with_logits_(input, target)
    else:
        positive = target * factor(op, "pos_weight", pos_weight, input)
        values = positive * softplus(-input) + (1 - target) * softplus(input)
    return reduced(op, values if weight is None else values * weight, reduction)


@public
def mse_loss(input: Any, target: Any, *, reduction: str = "mean", weight: Any = None) -> Any:
    """Mean squared error: weight (input - target)^2, where "mean" divides by the sum of the weights.

    Raises ValueError if the shapes differ.
    """
    return _of_difference("mse_loss", input, target, lambda d: d**2, reduction, weight)


@public
def l1_loss(input: Any, target: Any, *, reduction: str = "mean", weight: Any = None) -> Any:
    """Mean absolute error: weight |input - target|, where "mean" divides by the sum of the weights.

    Raises ValueError if the shapes differ.
    """
    return _of_difference("l1_loss", input, target, abs, reduction, weight)


@public
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """Huber's loss of d = input - target: d^2 / 2 where |d| < delta, else delta (|d| - delta / 2).

    Its gradient is d, limited to [-delta, delta], so outliers count less than in `mse_loss`. As in PyTorch, "mean"
    divides by the number of entries even if there are weights. Huber 1964 [huber1964robust].

    Raises:
        ValueError: the shapes differ, or delta is not positive.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, got {delta}")

    def huber(d: Any) -> Any:
        size = abs(d)
        return where(size < delta, 0.5 * d * d, delta * (size - 0.5 * delta))

    values = _of_difference("huber_loss", input, target, huber, "none", weight)
    return reduced("huber_loss", values, reduction)


@public
def smooth_l1_loss(input: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Huber's loss divided by beta: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2; for beta = 0 `l1_loss`.

    Raises:
        ValueError: the shapes differ, or beta is negative.
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta}")

    def smooth(d: Any) -> Any:
        size = abs(d)
        return where(size < beta, 0.5 * d * d / beta, size - 0.5 * beta)

    return _of_difference("smooth_l1_loss", input, target, smooth if beta else abs, reduction, None)


@public
def kl_div(input: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Any:
    """The Kullback-Leibler divergence of log-probabilities `input` from probabilities t: t (log t - input).

    Args:
        target: t, or log t if log_target. Where t = 0 the term is 0.
        reduction: "batchmean" divides the sum by the size of the first axis: the divergence as mathematics has it.
            "mean" divides by the number of all entries.

    Raises:
        ValueError: the shapes differ.
    """
    input = floating(input)
    target = alike("kl_div", input, target)
    if log_target:
        values = exp(target) * (target - input)
    else:
        values = target * log(where(target == 0, 1.0, target)) - target * input
    if reduction != "batchmean":
        return reduced("kl_div", values, reduction)
    return sum(values) / input.shape[0] if input.ndim else values


@public
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1; cos is that of the angle between the vectors.

    Shapes: (N, D) and a target (N,), or (D,) and ().

    Raises:
        ValueError: the shapes do not fit.
    """
    op, axis = "cosine_embedding_loss", input1.ndim - 1
    if input1.ndim not in (1, 2) or input1.shape != input2.shape:
        raise ValueError(
            f"{op}: needs two inputs (N, D) or (D,) of one shape, got {tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    lengths = (sum(input1 * input1, axis) + TINY) * (sum(input2 * input2, axis) + TINY)
    cosine = sum(input1 * input2, axis) / sqrt(lengths)
    wanted = raw(alike(op, cosine, target))
    far = where((wanted == -1) & (raw(cosine) > margin), cosine - margin, 0.0)
    return reduced(op, where(wanted == 1, 1 - cosine, far), reduction)


def _of_difference(op: str, input: Any, target: Any, function: Any, reduction: str, weight: Any) -> Any:
    input = floating(input)
    values = function(input - alike(op, input, target))
    if weight is None:
        return reduced(op, values, reduction)
    weight = alike(f"{op}, weight", input, weight)
    return reduced(op, values * weight, reduction, weight)


def _limited(logarithm: Any, x: Any, pole: float) -> Any:
    """max(logarithm(x), -100). The inner `where` keeps the logarithm and its rule away from the pole. NaN stays NaN."""
    low = raw(x) <= pole + max(math.exp(-100), float(np.finfo(x.dtype).tiny))
    low = wrap(low) if isinstance(x, Tensor) else low
    return where(low, -100.0, logarithm(where(low, pole + 1.0, x)))


__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "huber_loss",
    "kl_div", "l1_loss", "mse_loss", "nll_loss", "smooth_l1_loss",
]  # fmt: skip
