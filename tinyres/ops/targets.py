"""What every loss does with its target, and with the values of which it takes the mean.

A target of numbers is converted to the input's dtype. A target is never broadcast.
"""

from __future__ import annotations

from typing import Any

from tinyres.arrays import device_of, namespace
from tinyres.arrays.convert import new_array
from tinyres.arrays.foreign import is_foreign
from tinyres.autograd.tensor import raw
from tinyres.ops.elementwise import astype
from tinyres.ops.reduction import mean, sum
from tinyres.refusals.wording import describe


def alike(op: str, input: Any, target: Any) -> Any:
    """The target in the input's dtype; an error unless the shapes are equal."""
    if not hasattr(target, "dtype") or is_foreign(target):
        target = copied(target, input)
    same_device(op, input, target)
    if tuple(target.shape) != tuple(input.shape):
        raise ValueError(
            f"{op}: target must have the shape of input, {tuple(input.shape)}, got {describe(raw(target))}; "
            "the two are not broadcast, so reshape or expand one of them"
        )
    return astype(target, input.dtype)


def copied(target: Any, input: Any) -> Any:
    """An array of the target's values, which the caller may write into afterwards."""
    return new_array(raw(target)) if hasattr(target, "dtype") else namespace(raw(input)).asarray(target)


def same_device(op: str, input: Any, target: Any, name: str = "target") -> None:
    """Raise an error unless both are on one device."""
    here, there = device_of(raw(input)), device_of(raw(target))
    if here != there:
        raise RuntimeError(f"{op}: input is on {here}, {name} on {there}; bring them together with .to({here!r})")


def factor(op: str, name: str, weight: Any, input: Any) -> Any:
    """A weight in the input's dtype: a factor of the loss, which may broadcast to the input's shape."""
    if isinstance(weight, str):
        raise TypeError(f"{op}: {name} must be a tensor or an array, got {weight!r}; for a reduction write reduction=")
    if not hasattr(weight, "dtype") or is_foreign(weight):
        weight = copied(weight, input)
    same_device(op, input, weight, name)
    return astype(weight, input.dtype)


def reduced(op: str, values: Any, reduction: str, weight: Any = None) -> Any:
    """The values, their sum, or their mean; with weights, `values` has been multiplied by them already, and the mean
    is divided by their sum."""
    if reduction == "none":
        return values
    if reduction == "sum":
        return sum(values)
    if reduction != "mean":
        raise ValueError(f"{op}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if 0 in values.shape:
        raise ValueError(f"{op}: the batch is empty (shape {tuple(values.shape)}), so it has no mean; use 'sum'")
    return mean(values) if weight is None else sum(values) / sum(weight)


__all__ = ["alike", "copied", "factor", "reduced", "same_device"]
