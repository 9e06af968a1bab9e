"""Loss functions. The two that take logits are fused operations; the others are composed of primitives.

A target of numbers is converted to the input's dtype. A target is never broadcast. A value out of range raises an error
on the CPU; on a GPU its loss is NaN, since checking would mean waiting for the GPU at every step.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import device_of, kernels_for, namespace
from tinyres.arrays.convert import new_array
from tinyres.arrays.foreign import is_foreign
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.primitive import describe
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.ops.activation import softplus
from tinyres.ops.elementwise import abs, astype, floating, log, log1p, where
from tinyres.ops.indexing import getitem
from tinyres.ops.reduction import log_softmax, mean, sum


def _picked(log_p, *, classes):
    """-log_p[n, classes[n, ...], ...]."""
    # log_p[n, classes[n, i, j], i, j]: an open grid of n, i, j picks one entry for each target.
    xp = namespace(raw(log_p))
    grid = [xp.arange(n).reshape((-1,) + (1,) * (classes.ndim - 1 - a)) for a, n in enumerate(classes.shape)]
    if xp is np:
        return -getitem(log_p, (grid[0], classes, *grid[1:]))
    classes = classes.astype(np.int64, copy=False)
    outside = classes.view(np.uint64) >= log_p.shape[1]  # a negative number, read as unsigned, is larger than any class
    return where(wrap(outside), math.nan, -getitem(log_p, (grid[0], where(outside, 0, classes), *grid[1:])))


def _contiguous(a):
    return namespace(a).asarray(a, order="C")  # `ascontiguousarray` would turn the shape () into (1,)


def _rows(x):
    """(N, C, ...) as a matrix (M, C), one row per target: a view if the memory is channels-last."""
    last = namespace(x).ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))
    return last.reshape(math.prod(last.shape[:-1]), x.shape[1])


def _unrows(rows, shape):
    last = rows.reshape(shape[0], *shape[2:], shape[1])
    return last.transpose(0, last.ndim - 1, *range(1, last.ndim - 1))


@primitive(aux=True, decomposition=lambda input, *, classes: _picked(log_softmax(input, 1), classes=classes))
def cross_entropy_(input, *, classes):
    xp, rows = namespace(input), _rows(input)
    out, probabilities = xp.empty(len(rows), input.dtype), xp.empty_like(rows)
    targets = classes.reshape(-1).astype(np.int64, copy=False)
    targets = targets if targets.flags.c_contiguous else targets.copy()
    kernels_for(input).cross_entropy(rows, targets, out, probabilities)
    return out.reshape(classes.shape), (probabilities, targets)


def _logits_dx(g, aux, input_shape):
    probabilities, targets = aux
    out = namespace(g).empty_like(probabilities)
    kernels_for(out).cross_entropy_dx(_contiguous(g.reshape(-1)), probabilities, targets, out)
    return _unrows(out, input_shape)


cross_entropy_.vjp(input=_logits_dx)


@primitive(decomposition=lambda input, target: target * softplus(-input) + (1 - target) * softplus(input))
def binary_cross_entropy_with_logits_(input, target):
    x, t = _contiguous(input), _contiguous(target)
    return kernels_for(x).bce_with_logits(x, t, namespace(x).empty_like(x))


def _logit_dx(g, input, target):
    x, t = _contiguous(input), _contiguous(target)
    return kernels_for(x).bce_with_logits_dx(_contiguous(g), x, t, namespace(x).empty_like(x))


binary_cross_entropy_with_logits_.vjp(input=_logit_dx, target=lambda g, input: -g * input)


@public
def cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Cross-entropy from logits: -log softmax(input)[target], the negative log-likelihood of the right class.

    Args:
        input: logits, (N, C) or (N, C, ...).
        target: class indices in [0, C), (N,) or (N, ...); integers.
        reduction: "mean" over all targets, "sum", or "none" for the shape of the target.

    Raises:
        TypeError: the target does not hold integers.
        ValueError: a shape does not fit, a class is out of range (on a GPU, its loss is NaN instead), or the batch is
            empty and so has no mean.
    """
    return _likelihood("cross_entropy", input, target, reduction, logits=True)


@public
def nll_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Negative log-likelihood from log-probabilities: -input[target]. Arguments and errors as for `cross_entropy`."""
    return _likelihood("nll_loss", input, target, reduction, logits=False)


@public
def binary_cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Binary cross-entropy: -(t log p + (1 - t) log(1 - p)) for probabilities p and targets t.

    As in PyTorch, logarithms are limited to at least -100, so that a confident mistake has a finite loss; the gradient
    is 0 there. `binary_cross_entropy_with_logits` has neither limit.

    Raises:
        ValueError: the shapes differ, or a probability is outside [0, 1] (on a GPU, its loss is NaN instead).
    """
    op = "binary_cross_entropy"
    target = _alike(op, input, target)
    p = raw(input)
    outside = (p < 0) | (p > 1)
    if device_of(p) == "cpu" and outside.any():
        raise ValueError(
            f"{op}: input must be probabilities in [0, 1], got values from {p.min():.4g} to {p.max():.4g}; "
            "for logits use binary_cross_entropy_with_logits"
        )
    values = -(target * _limited(log, input, 0.0) + (1 - target) * _limited(log1p, -input, -1.0))
    return _reduce(op, values if device_of(p) == "cpu" else where(wrap(outside), math.nan, values), reduction)


@public
def binary_cross_entropy_with_logits(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Binary cross-entropy from logits x: -(t log sigmoid(x) + (1 - t) log sigmoid(-x)), t the targets.

    It is computed as t softplus(-x) + (1 - t) softplus(x). Both terms are positive, so there is no cancellation.

    Raises:
        ValueError: the shapes differ.
    """
    op, input = "binary_cross_entropy_with_logits", floating(input)
    target = _alike(op, input, target)
    return _reduce(op, binary_cross_entropy_with_logits_(input, target), reduction)


@public
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Mean squared error: (input - target)^2. Raises ValueError if the shapes differ."""
    input = floating(input)
    return _reduce("mse_loss", (input - _alike("mse_loss", input, target)) ** 2, reduction)


@public
def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Mean absolute error: |input - target|. Raises ValueError if the shapes differ."""
    input = floating(input)
    return _reduce("l1_loss", abs(input - _alike("l1_loss", input, target)), reduction)


def _likelihood(op: str, input: Any, target: Any, reduction: str, logits: bool) -> Any:
    if input.ndim < 2:
        raise ValueError(f"{op}: input must have shape (N, C) or (N, C, ...), got {describe(raw(input))}")
    classes, input = _classes(op, input, target), floating(input)
    loss = cross_entropy_ if logits else _picked
    return _reduce(op, loss(input, classes=classes), reduction)


def _classes(op: str, input: Any, target: Any) -> Any:
    classes = raw(target) if isinstance(target, Tensor) else _copied(target, input)  # the caller may write into it
    _same_device(op, input, classes)
    needed = (*input.shape[:1], *input.shape[2:])
    if not np.issubdtype(classes.dtype, np.integer):
        raise TypeError(f"{op}: target must hold class indices, i.e. integers, got {describe(classes)}")
    if tuple(classes.shape) != needed:
        raise ValueError(
            f"{op}: for an input of shape {tuple(input.shape)} the target must have shape {needed}, "
            f"got {describe(classes)}"
        )
    if device_of(classes) == "cpu" and classes.size and (classes.min() < 0 or classes.max() >= input.shape[1]):
        raise ValueError(
            f"{op}: target must be classes from 0 to {input.shape[1] - 1} (axis 1 of input has {input.shape[1]}), "
            f"got values from {classes.min()} to {classes.max()}"
        )
    return classes


def _alike(op: str, input: Any, target: Any) -> Any:
    """The target in the input's dtype; an error unless the shapes are equal."""
    if not hasattr(target, "dtype") or is_foreign(target):
        target = _copied(target, input)
    _same_device(op, input, target)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{op}: target must have the shape of input, {tuple(input.shape)}, got {describe(raw(target))}; "
            "the two are not broadcast, so reshape or expand one of them"
        )
    return astype(target, input.dtype)


def _copied(target: Any, input: Any) -> Any:
    return new_array(raw(target)) if hasattr(target, "dtype") else namespace(raw(input)).asarray(target)


def _same_device(op: str, input: Any, target: Any) -> None:
    here, there = device_of(raw(input)), device_of(raw(target))
    if here != there:
        raise RuntimeError(f"{op}: input is on {here}, target on {there}; bring them together with .to({here!r})")


def _limited(logarithm: Any, x: Any, pole: float) -> Any:
    """max(logarithm(x), -100). The inner `where` keeps the logarithm and its rule away from the pole. NaN stays NaN."""
    low = raw(x) <= pole + max(math.exp(-100), float(np.finfo(x.dtype).tiny))
    low = wrap(low) if isinstance(x, Tensor) else low
    return where(low, -100.0, logarithm(where(low, pole + 1.0, x)))


def _reduce(op: str, values: Any, reduction: str) -> Any:
    if reduction == "none":
        return values
    if reduction == "sum":
        return sum(values)
    if reduction != "mean":
        raise ValueError(f"{op}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if 0 in values.shape:
        raise ValueError(f"{op}: the batch is empty (shape {tuple(values.shape)}), so it has no mean; use 'sum'")
    return mean(values)


__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "l1_loss", "mse_loss", "nll_loss",
]  # fmt: skip
