"""Which kind of number a result has: booleans, integers or fractions, as PyTorch has it."""

from __future__ import annotations

from typing import Any

import numpy as np


def fitting(value: Any, x: Any) -> Any:
    """A Python number that takes the place of some of x, as one that leaves x its dtype, if there is one."""
    if hasattr(value, "dtype") or x.dtype.kind == "f":
        return value if hasattr(value, "dtype") else float(value)
    return bool(value) if x.dtype == bool else int(value) if float(value).is_integer() else value


def fractions(x: Any) -> Any:
    """x for a function whose values are fractions: whole numbers as float64. Of small ones, NumPy makes float16."""
    return x if getattr(x, "itemsize", 8) > 2 or x.dtype.kind == "f" else x.astype(np.float64)


__all__ = ["fitting", "fractions"]
