"""Activation functions that are made of straight lines, and what is multiplied by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.nn import functional as F
from tinyres.nn.activation import Activation, Plain
from tinyres.nn.module import Parameter


class ReLU6(Plain):
    """min(max(x, 0), 6)."""

    def forward(self, x: Any) -> Any:
        return F.relu6(x)


class PReLU(Activation):
    """x for x > 0, else w x, with learned slopes w (He et al. 2015 [he2015delving]).

    Args:
        num_parameters: 1, or the number of channels (axis 1 of x), each with its own slope.
        init: what the slopes are at first.
    """

    _settings = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, x: Any) -> Any:
        return F.prelu(x, self.weight)


class Hardsigmoid(Plain):
    """relu6(x + 3) / 6."""

    def forward(self, x: Any) -> Any:
        return F.hardsigmoid(x)


class Hardswish(Plain):
    """x relu6(x + 3) / 6."""

    def forward(self, x: Any) -> Any:
        return F.hardswish(x)


class Hardtanh(Activation):
    """x limited to [min_val, max_val]."""

    _settings = "min_val", "max_val"

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Any:
        return F.hardtanh(x, self.min_val, self.max_val)


class Hardshrink(Activation):
    """0 for |x| <= lambd, else x."""

    _settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return F.hardshrink(x, self.lambd)


class Softshrink(Activation):
    """x moved towards 0 by lambd, and 0 for |x| <= lambd."""

    _settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return F.softshrink(x, self.lambd)


class Threshold(Activation):
    """x for x > threshold, else value."""

    _settings = "threshold", "value"

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, x: Any) -> Any:
        return F.threshold(x, self.threshold, self.value)


__all__ = [
    "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "PReLU", "ReLU6", "Softshrink", "Threshold",
]  # fmt: skip
