"""New tensors: of one value, of a range, drawn. As in PyTorch, floats are float32 and integers int64 by default.

Each function also takes `device` ("cpu" or "cuda") and `requires_grad`. Numbers are drawn on the CPU, so that they are
the same on every device: from `generator` (a `numpy.random.Generator` or a seed), or else from the one that
`tr.manual_seed` seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.arrays import device_of, namespace, to_device
from tinyres.arrays.random import Rng, rng_of
from tinyres.autograd.calling import public
from tinyres.autograd.tensor import Tensor, raw, tensor, wrap
from tinyres.ops.shape import sizes_of
from tinyres.refusals.kinds import is_number

FLOAT, INTEGER = np.dtype(np.float32), np.dtype(np.int64)


def made(array: Any, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of a new array, on the device asked for. TypeError for a dtype that is no number's, as "a"."""
    if array.dtype.kind not in "biufc":
        raise TypeError(f"dtype must be a dtype of numbers, such as tr.float32, got {array.dtype}")
    tensor = wrap(array if device is None else to_device(array, str(device).partition(":")[0]))
    return tensor.requires_grad_() if requires_grad else tensor


# -- of one value ---------------------------------------------------------------------------------------------------
def zeros(*size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """Zeros: zeros(2, 3) or zeros((2, 3))."""
    return made(np.zeros(sizes_of(size), dtype or FLOAT), **how)


def ones(*size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """Ones: ones(2, 3) or ones((2, 3))."""
    return made(np.ones(sizes_of(size), dtype or FLOAT), **how)


def empty(*size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """A tensor whose values nobody has set. A tensor cannot be written into, so `zeros` is what is mostly meant."""
    return made(np.empty(sizes_of(size), dtype or FLOAT), **how)


def full(size: Any, fill_value: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """The same value everywhere; by default of the dtype that `tr.tensor(fill_value)` has."""
    value = raw(fill_value)
    kind = np.asarray(value).dtype if dtype is None else np.dtype(dtype)
    return made(np.full(size, value, FLOAT if dtype is None and kind == np.float64 else kind), **how)


def zeros_like(input: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """Zeros of the shape, dtype and device of another tensor."""
    return full_like(input, 0, dtype=dtype, **how)


def ones_like(input: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """Ones of the shape, dtype and device of another tensor."""
    return full_like(input, 1, dtype=dtype, **how)


def empty_like(input: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """A tensor of the shape, dtype and device of another, whose values nobody has set."""
    return full_like(input, 0, dtype=dtype, **how)


def full_like(input: Any, fill_value: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """The same value everywhere, in the shape, dtype and device of another tensor."""
    array, value = raw(input), raw(fill_value)
    if not hasattr(value, "ndim") and not is_number(value):
        raise TypeError(f"full_like: fill_value must be a number, got {value!r}")
    values = namespace(array).full_like(array, value, dtype=dtype)
    return made(values, **{"device": device_of(array), **how})


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The tensor itself, or a copy of what is none yet; in another dtype or on another device, if asked."""
    found = data if isinstance(data, Tensor) else tensor(data)
    return found.to(device, dtype)  # type: ignore[no-any-return]


def from_numpy(ndarray: Any) -> Tensor:
    """A copy of an array. (PyTorch shares the memory; `tr.from_dlpack` does.)"""
    return tensor(ndarray)


# -- of a range -----------------------------------------------------------------------------------------------------
def _number(value: Any) -> Any:
    """A Python number: of a float32 one, NumPy would compute a float64 range in float32."""
    return value.item() if hasattr(value, "item") else value


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, **how: Any) -> Tensor:
    """start, start + step, ... up to, but without, end; arange(n) counts from 0. Integers, if all three are."""
    start, end = (0, start) if end is None else (start, end)
    array = np.arange(*map(_number, (start, end, step)))
    return made(array.astype(dtype or (FLOAT if array.dtype.kind == "f" else INTEGER)), **how)


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, **how: Any) -> Tensor:
    """So many numbers with equal gaps, from start to end inclusive."""
    return made(np.linspace(_number(start), _number(end), steps).astype(dtype or FLOAT), **how)


def eye(n: int, m: int | None = None, *, dtype: Any = None, **how: Any) -> Tensor:
    """Ones on the diagonal of an (n, m) matrix (default: m = n), zeros elsewhere."""
    return made(np.eye(n, m, dtype=dtype or FLOAT), **how)


# -- drawn ----------------------------------------------------------------------------------------------------------
def _floating(what: str, dtype: Any) -> Any:
    """The dtype of drawn numbers. TypeError for one that would round them to integers."""
    kind = np.dtype(dtype or FLOAT)
    if kind.kind != "f":
        raise TypeError(f"{what}: draws fractions, so dtype must be a float's, got {kind}: tr.randint draws integers")
    return kind


def rand(*size: Any, generator: Rng = None, dtype: Any = None, **how: Any) -> Tensor:
    """Drawn evenly from [0, 1)."""
    kind = _floating("rand", dtype)
    draws = rng_of(generator).random(sizes_of(size), np.float64 if kind == np.float64 else np.float32)
    return made(np.asarray(draws, kind), **how)


def randn(*size: Any, generator: Rng = None, dtype: Any = None, **how: Any) -> Tensor:
    """Drawn from the normal distribution with mean 0 and variance 1."""
    return made(np.asarray(rng_of(generator).standard_normal(sizes_of(size)), _floating("randn", dtype)), **how)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Rng = None, dtype: Any = None, **how: Any
) -> Tensor:
    """Integers drawn evenly from [low, high); randint(high, size) begins at 0."""
    if size is None:
        low, high, size = 0, low, high
    if not hasattr(size, "__iter__"):
        raise TypeError(
            f"randint: size must be a shape, such as (2, 3), got {size!r:.80}: tr.randint(low, high, (2, 3))"
        )
    return made(np.asarray(rng_of(generator).integers(low, high, tuple(size)), dtype or INTEGER), **how)


def randperm(n: int, *, generator: Rng = None, dtype: Any = None, **how: Any) -> Tensor:
    """The integers 0 to n - 1 in a random order."""
    return made(rng_of(generator).permutation(n).astype(dtype or INTEGER), **how)


def rand_like(input: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """`rand` in the shape, dtype and device of another tensor."""
    return rand(input.shape, **_alike(input, dtype, how))


def randn_like(input: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """`randn` in the shape, dtype and device of another tensor."""
    return randn(input.shape, **_alike(input, dtype, how))


def randint_like(input: Any, low: int, high: int | None = None, *, dtype: Any = None, **how: Any) -> Tensor:
    """`randint` in the shape, dtype and device of another tensor."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, input.shape, **_alike(input, dtype, how))


def _alike(input: Any, dtype: Any, how: dict[str, Any]) -> dict[str, Any]:
    return {"device": device_of(raw(input)), **how, "dtype": dtype or input.dtype}


# -- methods: of the dtype and device of a tensor -------------------------------------------------------------------
@public
def new_zeros(input: Any, *size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """Zeros of another shape, in the dtype and on the device of a tensor."""
    return zeros(*size, **_alike(input, dtype, how))


@public
def new_ones(input: Any, *size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """Ones of another shape, in the dtype and on the device of a tensor."""
    return ones(*size, **_alike(input, dtype, how))


@public
def new_full(input: Any, size: Any, fill_value: Any, *, dtype: Any = None, **how: Any) -> Tensor:
    """One value in another shape, in the dtype and on the device of a tensor."""
    return full(size, fill_value, **_alike(input, dtype, how))


@public
def new_empty(input: Any, *size: Any, dtype: Any = None, **how: Any) -> Tensor:
    """Another shape, in the dtype and on the device of a tensor; nobody has set the values."""
    return empty(*size, **_alike(input, dtype, how))


__all__ = [
    "arange", "as_tensor", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace", "ones",
    "ones_like", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "zeros",
    "zeros_like",
]  # fmt: skip
