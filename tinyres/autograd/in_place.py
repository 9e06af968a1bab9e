"""What changes a parameter or a buffer: `p.add_(g, alpha=-lr)`, `p -= lr * g`, `p.clamp_(-c, c)`, `p[:, 0] = 1`.

What requires a gradient changes inside of `tr.no_grad()` only. No array is written into, since a graph may have saved
it: the parameter is bound to a new array, as an optimiser does it. So what was made from the parameter before,
`p.detach()` or `p[0]`, keeps its values, unlike PyTorch's. For this reason only a model's state has these methods
(leaves that require a gradient, every `nn.Parameter`, and the buffers that a module registered): of any other tensor
one could not tell whether it was to be changed itself or was a view of what was to be changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from tinyres_kernels.namespace import namespace

from tinyres.arrays import to_device
from tinyres.arrays.devices import device_of
from tinyres.arrays.random import Rng, rng_of
from tinyres.context import is_recording
from tinyres.refusals.absent import Refused

Array = Any


def is_state(tensor: Any) -> bool:
    """Whether it may be changed: a leaf that requires a gradient, an `nn.Parameter`, frozen or not, or a buffer."""
    return tensor.is_leaf and (tensor.node is not None or getattr(type(tensor), "is_state", False))


def is_free(tensor: Any, *given: Any) -> bool:
    """Whether changing it by what is given needs no record."""
    return not is_recording() or all(getattr(value, "node", None) is None for value in (tensor, *given))


def change(tensor: Any, what: str, array: Array, *given: Any) -> Any:
    """Bind a parameter or a buffer to a new array, made of what is given, in the dtype and the layout that it has.

    Raises:
        RuntimeError: the change would have to be recorded.
        ValueError: the array has another shape. TypeError: it holds fractions, and the buffer integers.
    """
    old = tensor._data
    if not is_free(tensor, *given):
        raise RuntimeError(
            f"{what}: a parameter or a buffer changes only where nothing is recorded; write `with tr.no_grad():` "
            "around it"
        )
    if np.shape(array) != old.shape:
        raise ValueError(f"{what}: the result has shape {np.shape(array)}, and the tensor keeps its own, {old.shape}")
    if old.dtype.kind != "f" and getattr(array, "dtype", old.dtype).kind == "f" and what != "copy_":
        raise TypeError(f"{what}: the result is {array.dtype}, and the buffer holds {old.dtype}; assign a new one")
    new = namespace(old).empty_like(old)
    new[...] = array
    tensor._data = new  # dtype and shape are as before, so the node of the leaf stays
    return tensor


def put(tensor: Any, key: Any, value: Any) -> None:
    """`tensor[key] = value`, for a parameter or a buffer. TypeError: it is neither."""
    if not is_state(tensor):
        raise TypeError(
            "a tensor is a value and cannot be written into; build a new one, e.g. with tr.where(mask, value, x); "
            "parameters and buffers can be: w[0] = 1 inside `with tr.no_grad():`"
        )
    new = tensor._data.copy("K")
    try:
        new[tuple(map(_raw, key)) if isinstance(key, tuple) else _raw(key)] = _raw(value)
    except (IndexError, TypeError, ValueError) as error:
        raise type(error)(f"p[...] = x: {error}; p has shape {new.shape}, x {np.shape(_raw(value))}") from error
    change(tensor, "p[...] = x", new, value)


def _raw(value: Any) -> Any:
    return getattr(value, "_data", value)


def _drawn(old: Array, draws: np.ndarray) -> Array:
    return to_device(draws, device_of(old))


def _clamp(p: Array, min: Any = None, max: Any = None) -> Array:
    return namespace(p).clip(p, _raw(min), _raw(max))


def _normal(p: Array, mean: float = 0.0, std: float = 1.0, *, generator: Rng = None) -> Array:
    return _drawn(p, rng_of(generator).normal(mean, std, p.shape))


def _uniform(p: Array, a: float = 0.0, b: float = 1.0, *, generator: Rng = None) -> Array:
    return _drawn(p, rng_of(generator).uniform(a, b, p.shape))


def _copy(p: Array, src: Any, non_blocking: bool = False) -> Array:
    given = _raw(src)
    return namespace(p).broadcast_to(
        to_device(given if hasattr(given, "dtype") else np.asarray(given), device_of(p)), p.shape
    )


def _filled(p: Array, value: Any) -> Array:
    return namespace(p).full_like(p, _raw(value))


CHANGES: dict[str, Callable[..., Array]] = {
    "add_": lambda p, other, *, alpha=1: p + alpha * _raw(other),
    "sub_": lambda p, other, *, alpha=1: p - alpha * _raw(other),
    "mul_": lambda p, other: p * _raw(other),
    "div_": lambda p, other: p / _raw(other),
    "lerp_": lambda p, end, weight: p + _raw(weight) * (_raw(end) - p),
    "addcmul_": lambda p, a, b, *, value=1: p + value * (_raw(a) * _raw(b)),
    "addcdiv_": lambda p, a, b, *, value=1: p + value * (_raw(a) / _raw(b)),
    "clamp_": _clamp, "clip_": _clamp, "copy_": _copy, "fill_": _filled, "normal_": _normal, "uniform_": _uniform,
    "zero_": lambda p: _filled(p, 0),
}  # fmt: skip


class Changing(Refused):
    """A method of parameters and buffers alone: any other tensor says why it is not written into."""

    def __get__(self, instance: Any, kind: type | None = None) -> Any:
        if instance is None or not is_state(instance):
            super().__get__(instance, kind)
        return partial(_changed, instance, self.name)


def _changed(tensor: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return change(tensor, name, CHANGES[name](tensor._data, *args, **kwargs), *args)
