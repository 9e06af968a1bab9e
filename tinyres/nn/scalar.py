"""Scale and Shift: one learned number, used in residual nets without batch norm."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.nn.module import Module, Parameter


class Scale(Module):
    """y = weight * x with one learned number, which starts as `value`; x of any shape."""

    def __init__(self, value: float = 1.0) -> None:
        self.weight = Parameter(np.full(1, value, np.float32))

    def forward(self, x: Any) -> Any:
        return x * self.weight


class Shift(Module):
    """y = x + bias with one learned number, which starts as `value`; x of any shape."""

    def __init__(self, value: float = 0.0) -> None:
        self.bias = Parameter(np.full(1, value, np.float32))

    def forward(self, x: Any) -> Any:
        return x + self.bias


__all__ = ["Scale", "Shift"]
