"""Losses of classes: cross-entropy and the negative log-likelihood, with weights, smoothing and ignored targets.

The plain cross-entropy is a fused operation. What else PyTorch's may do is composed of it: weights are factors of what
it gives for each target, and smoothing adds a second term.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays import device_of, kernels_for, namespace
from tinyres.autograd.calling import primitive, public
from tinyres.autograd.tensor import Tensor, raw, wrap
from tinyres.ops.elementwise import floating, where
from tinyres.ops.indexing import getitem
from tinyres.ops.reduction import mean, sum
from tinyres.ops.shape import reshape
from tinyres.ops.softmax import log_softmax
from tinyres.ops.targets import alike, copied, factor, reduced, same_device
from tinyres.refusals.wording import describe

IGNORED = -100  # the class that PyTorch leaves out unless told otherwise


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
    kernels_for(out).cross_entropy_dx(namespace(g).ascontiguousarray(g.reshape(-1)), probabilities, targets, out)
    return _unrows(out, input_shape)


cross_entropy_.vjp(input=_logits_dx)


@public
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross-entropy from logits: -log p[target], p = softmax(input), the negative log-likelihood of the right class.

        loss[n] = -w[t] log p[n, t],  t = target[n],              the mean divides by the sum of the w[t]
        loss[n] = -sum_c w[c] target[n, c] log p[n, c],           for probabilities; the mean divides by their number

    Label smoothing e trains towards (1 - e) target + e / C: each target keeps 1 - e, and e is shared by all C classes
    (Szegedy et al. 2016 [szegedy2016rethinking]).

    Args:
        input: logits, (N, C), (N, C, ...), or (C,) for a single one.
        target: class indices in [0, C), (N,), (N, ...) or (); integers. Or the probability of each class, in the shape
            of input.
        weight: w, a factor for each class, (C,).
        ignore_index: targets of this class have the loss 0 and do not count in the mean, which is NaN if none is left.
            None: -100, as in PyTorch; but on a GPU nothing is looked for, and the loss of such a target is NaN.
        reduction: "mean" over all targets, "sum", or "none" for the shape of the target.
        label_smoothing: e, from 0 to 1.

    Raises:
        TypeError: the target holds neither integers nor probabilities.
        ValueError: a shape does not fit, a class is out of range (on a GPU, its loss is NaN instead), or the batch is
            empty and so has no mean.
    """
    op = "cross_entropy"
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing must be from 0 to 1, got {label_smoothing}")
    if _holds_probabilities(input, target):
        return _soft(op, input, target, weight, ignore_index, reduction, label_smoothing)
    return _likelihood(op, input, target, weight, ignore_index, reduction, label_smoothing)


@public
def nll_loss(
    input: Any, target: Any, weight: Any = None, *, ignore_index: int | None = None, reduction: str = "mean"
) -> Any:
    """Negative log-likelihood from log-probabilities: -input[target]. Arguments and errors as for `cross_entropy`."""
    return _likelihood("nll_loss", input, target, weight, ignore_index, reduction, None)


def _likelihood(
    op: str, input: Any, target: Any, weight: Any, ignore_index: int | None, reduction: str, smoothing: float | None
) -> Any:
    """The loss of classes; smoothing is None where `input` holds log-probabilities."""
    if not input.ndim:
        raise ValueError(f"{op}: input must have shape (N, C), (N, C, ...) or (C,), got {describe(raw(input))}")
    if input.ndim == 1:
        alone = _likelihood(op, reshape(input, (1, -1)), _alone(op, input, target), weight, ignore_index, reduction,
                            smoothing)  # fmt: skip
        return reshape(alone, ()) if reduction == "none" else alone
    classes, ignored, input = *_classes(op, input, target, ignore_index), floating(input)
    loss = _picked if smoothing is None else cross_entropy_
    values = loss(input, classes=classes)
    w = None if weight is None else _class_weights(op, weight, input)
    each = None if w is None else w[classes]  # the weight of each target's class
    values = values if each is None else values * each
    if smoothing:
        spread = -log_softmax(input, 1)
        spread = mean(spread if w is None else spread * _along_classes(w, input), 1)
        values = (1 - smoothing) * values + smoothing * spread
    if ignored is not None:
        values = where(ignored, 0.0, values)
        each = where(ignored, 0.0, 1.0 if each is None else each).astype(input.dtype, copy=False)
    if each is None or reduction != "mean" or not values.size:
        return reduced(op, values, reduction)
    total = each.sum()
    return sum(values) / total if device_of(total) == "cuda" or total else sum(values) * math.nan


def _soft(
    op: str, input: Any, target: Any, weight: Any, ignore_index: int | None, reduction: str, smoothing: float
) -> Any:
    """The loss of probabilities of classes."""
    if ignore_index is not None and ignore_index >= 0:
        raise ValueError(f"{op}: ignore_index={ignore_index} needs targets that are classes, got probabilities")
    input = floating(input)
    axis, target = _class_axis(input), alike(op, input, target)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / input.shape[axis]
    values = -log_softmax(input, axis) * target
    if weight is not None:
        values = values * _along_classes(_class_weights(op, weight, input), input)
    return reduced(op, sum(values, axis), reduction)


def _holds_probabilities(input: Any, target: Any) -> bool:
    shape = getattr(target, "shape", None)
    return shape is not None and tuple(shape) == tuple(input.shape) and "float" in str(target.dtype)


def _class_axis(input: Any) -> int:
    return 1 if input.ndim > 1 else 0


def _class_weights(op: str, weight: Any, input: Any) -> Any:
    """The weights of the classes, (C,), as an array: they are constants."""
    w, classes = raw(factor(op, "weight", weight, input)), input.shape[_class_axis(input)]
    if tuple(w.shape) != (classes,):
        raise ValueError(f"{op}: weight must have shape ({classes},), a number for each class, got {describe(w)}")
    return w


def _along_classes(w: Any, input: Any) -> Any:
    return w.reshape((-1,) + (1,) * (input.ndim - 2)) if input.ndim > 1 else w


def _alone(op: str, input: Any, target: Any) -> Any:
    """The target () of a single input (C,), as a target (1,)."""
    target = target if hasattr(target, "shape") else copied(target, input)
    if tuple(target.shape) != ():
        raise ValueError(
            f"{op}: input must have shape (N, C) or (N, C, ...) for a target of shape {tuple(target.shape)}, got "
            f"{describe(raw(input))}; the target of a single input (C,) has the shape ()"
        )
    return reshape(target, (1,))


def _classes(op: str, input: Any, target: Any, ignore_index: int | None) -> tuple[Any, Any]:
    """The classes, with 0 in place of those that are ignored, and where those are (None: nowhere)."""
    classes = raw(target) if isinstance(target, Tensor) else copied(target, input)  # the caller may write into it
    same_device(op, input, classes)
    needed = (*input.shape[:1], *input.shape[2:])
    if not np.issubdtype(classes.dtype, np.integer):
        raise TypeError(f"{op}: target must hold class indices, i.e. integers, got {describe(classes)}")
    if tuple(classes.shape) != needed:
        raise ValueError(
            f"{op}: for an input of shape {tuple(input.shape)} the target must have shape {needed}, "
            f"got {describe(classes)}"
        )
    on_cpu, ignored = device_of(classes) == "cpu", None
    left_out = on_cpu and classes.size > 0 and (classes.min() < 0 or classes.max() >= input.shape[1])
    if ignore_index is None:
        ignore_index = IGNORED if left_out else None
    if ignore_index is not None and (left_out or not on_cpu or 0 <= ignore_index < input.shape[1]):
        ignored = classes == ignore_index
        classes = namespace(classes).where(ignored, 0, classes)
    if left_out and (classes.min() < 0 or classes.max() >= input.shape[1]):
        raise ValueError(
            f"{op}: target must be classes from 0 to {input.shape[1] - 1} (axis 1 of input has {input.shape[1]}), "
            f"got values from {classes.min()} to {classes.max()}"
        )
    return classes, ignored


__all__ = ["cross_entropy", "nll_loss"]
