"""What changes a parameter: `p.add_(g, alpha=-lr)`, `p -= lr * g`, `p.clamp_(-c, c)`, inside of `tr.no_grad()`.

No array is written into, since a graph may have saved it: the parameter is bound to a new array, as an optimiser does
it. So what was made from the parameter before, `p.detach()` or `p[0]`, keeps its values, unlike PyTorch's. For this
reason only parameters have these methods (leaves that require a gradient, and every `nn.Parameter`): of any other
tensor one could not tell whether it was to be changed itself or was a view of what was to be changed.
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


def is_parameter(tensor: Any) -> bool:
    """Whether it may be changed: a leaf that requires a gradient, or an `nn.Parameter`, frozen or not."""
    return tensor.is_leaf and (tensor.node is not None or getattr(type(tensor), "learns", False))


def change(tensor: Any, what: str, array: Array) -> Any:
    """Bind a parameter to a new array, in the dtype and the memory layout that it has.

    Raises:
        RuntimeError: operations are being recorded; ValueError: the array has another shape than the parameter.
    """
    old = tensor._data
    if is_recording():
        raise RuntimeError(
            f"{what}: a parameter changes only where nothing is recorded; write `with tr.no_grad():` around it"
        )
    if np.shape(array) != old.shape:
        raise ValueError(
            f"{what}: the result has shape {np.shape(array)}, and the parameter keeps its own, {old.shape}"
        )
    new = namespace(old).empty_like(old)
    new[...] = array
    tensor._data = new  # dtype and shape are as before, so the node of the leaf stays
    return tensor


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
    """A method of parameters alone: any other tensor says why it is not written into."""

    def __get__(self, instance: Any, kind: type | None = None) -> Any:
        if instance is None or not is_parameter(instance):
            super().__get__(instance, kind)
        return partial(_changed, instance, self.name)


def _changed(tensor: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    return change(tensor, name, CHANGES[name](tensor._data, *args, **kwargs))
