"""Conversions for modules: arrays of other libraries, devices and dtypes, keeping the module's memory layout."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinyres.arrays import device_of, namespace, to_device
from tinyres.arrays.foreign import foreign_array, is_foreign
from tinyres.autograd.tensor import Array, Tensor, raw


def as_array(value: Any) -> Array:
    """The array of a tensor of tinyres or another library (on its device, without a copy), or `np.asarray(value)`."""
    value = raw(value)
    if type(value).__module__.partition(".")[0] in ("numpy", "cupy"):
        return value
    if str(getattr(value, "dtype", "")).endswith("bfloat16"):  # a dtype that NumPy lacks
        value = value.float() if hasattr(value, "float") else np.asarray(value).astype(np.float32)
    return foreign_array(value, "a value", values=True) if is_foreign(value) else np.asarray(value)


def warn_of_halves(state: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Warn if values come in 16 bits and become wider: the digits they lack are not restored."""
    halves = [key for key in own if key in state and str(getattr(state[key], "dtype", "")).endswith("float16")]
    wider = [key for key in halves if own[key].dtype.itemsize > 2]
    if wider:
        first, others = wider[0], f" and {len(wider) - 1} more" if len(wider) > 1 else ""
        came = str(state[first].dtype).rpartition(".")[2]
        warnings.warn(
            f"load_state_dict: {first}{others} came as {came} and became {own[first].dtype.name}, with the precision "
            f"of {came}",
            stacklevel=3,
        )


def fill_like(array: Array, values: Any) -> Array:
    """A new array with `values`, of the dtype, device and memory layout of `array`."""
    new = namespace(array).empty_like(array)
    new[...] = to_device(values, device_of(array))
    return new


def converter(target: Any) -> Callable[[Array], Array]:
    """The function that moves an array to a device ("cpu", "cuda"), or converts a floating one to a dtype."""
    if isinstance(target, str) and target in ("cpu", "cuda"):
        return lambda array: to_device(array, target)
    try:
        dtype = np.dtype(target)
    except TypeError as error:
        raise TypeError(f"to: {target!r} is neither a device ('cpu', 'cuda') nor a dtype") from error
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"to: parameters need a floating dtype, got {dtype}")
    return lambda array: array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array


def check_dtype(module: Any, x: Any, weight: Tensor) -> None:
    """Raises TypeError, naming the module and both ways out, where the input has another dtype than the weights."""
    if x.dtype is not weight.dtype and isinstance(x, (Tensor, np.ndarray)) and x.dtype != weight.dtype:
        raise TypeError(
            f"{module.label()}: the input is {x.dtype}, the weights are {weight.dtype}; convert the input, "
            f"x.astype('{weight.dtype}'), or the model, model.to('{x.dtype if x.dtype.kind == 'f' else 'float64'}')"
        )


__all__ = ["as_array", "check_dtype", "converter", "fill_like", "warn_of_halves"]
