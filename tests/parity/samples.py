"""The sample inputs of PyTorch's own tests, and what to pass here for them."""

from __future__ import annotations

import importlib
import random
import sys
import types
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import tinyres as tr

DTYPES = {
    torch.float32: "float32", torch.float64: "float64", torch.bool: "bool", torch.uint8: "uint8", torch.int8: "int8",
    torch.int16: "int16", torch.int32: "int32", torch.int64: "int64",
}  # fmt: skip


class LeftOut(Exception):
    """A sample that is not counted, and why."""


def op_db() -> list[Any]:
    """PyTorch's list. Its module imports `expecttest` for PyTorch's own tests, which none of this needs."""
    if "expecttest" not in sys.modules:
        stand_in: Any = types.ModuleType("expecttest")
        stand_in.TestCase = unittest.TestCase
        sys.modules["expecttest"] = stand_in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module("torch.testing._internal.common_methods_invocations").op_db
    return sorted(found, key=title)


def title(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """`change` applied to what is neither a list, a tuple nor a dictionary."""
    if isinstance(value, dict):
        return {key: mapped(v, change) for key, v in value.items()}
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return (
            [mapped(v, change) for v in value] if isinstance(value, list) else tuple(mapped(v, change) for v in value)
        )
    return change(value)


def flat(value: Any) -> list[Any]:
    """The leaves of nested lists and tuples."""
    return [leaf for v in value for leaf in flat(v)] if isinstance(value, (list, tuple)) else [value]


def translated(memo: dict[int, Any]) -> Callable[[Any], Any]:
    """What to pass here for an argument of PyTorch's; a tensor that occurs twice stays one tensor."""

    def change(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in memo:
                if value.layout != torch.strided:
                    raise LeftOut("sparse")
                dtype_of(value.dtype)
                array = value.to(value.dtype, copy=True).numpy(force=True)
                memo[id(value)] = (value, tr.tensor(array, requires_grad=value.requires_grad))
            return memo[id(value)][1]
        if isinstance(value, complex):
            raise LeftOut("complex")
        if isinstance(value, torch.dtype):
            return dtype_of(value)
        if isinstance(value, (torch.layout, torch.memory_format)):
            raise LeftOut("memory layouts")
        return str(value) if isinstance(value, torch.device) else value

    return change


def dtype_of(dtype: torch.dtype) -> np.dtype[Any]:
    if dtype.is_complex:
        raise LeftOut("complex")
    if dtype not in DTYPES:
        raise LeftOut("a dtype that NumPy or tinyres lacks")
    return np.dtype(DTYPES[dtype])


def samples_of(op: Any) -> list[Any]:
    """The same ones each time: in float64 if the operation takes it, else in integers."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (PyTorch draws from it)
    dtypes = op.supported_dtypes("cpu")
    dtype = next((d for d in (torch.float64, torch.int64, torch.bool) if d in dtypes), None)
    if dtype is None:  # complex alone
        return []
    return list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and dtype.is_floating_point))
