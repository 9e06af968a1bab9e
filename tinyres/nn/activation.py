"""Activation functions as modules; the functions, with their equations, are in `tinyres.nn.functional`.

Where PyTorch's modules may work in place, these take `inplace`, and return a new tensor all the same: tensors are
values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.module import Module, Parameter


class _Activation(Module):
    _settings: tuple[str, ...] = ()  # the attributes that the repr shows

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._settings)


class _Plain(_Activation):
    """Without settings."""

    def __init__(self, inplace: bool = False) -> None:
        pass


class ReLU(_Plain):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class ReLU6(_Plain):
    """min(max(x, 0), 6)."""

    def forward(self, x: Any) -> Any:
        return F.relu6(x)


class LeakyReLU(_Activation):
    """x for x > 0, else negative_slope * x (Maas et al. 2013 [maas2013rectifier])."""

    _settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)


class PReLU(_Activation):
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


class ELU(_Activation):
    """x for x > 0, else alpha * (e^x - 1) (Clevert et al. 2016 [clevert2016fast])."""

    _settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha)


class CELU(_Activation):
    """x for x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017 [barron2017continuously])."""

    _settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return F.celu(x, self.alpha)


class SELU(_Plain):
    """1.0507 elu(x, 1.6733) (Klambauer et al. 2017 [klambauer2017self])."""

    def forward(self, x: Any) -> Any:
        return F.selu(x)


class GELU(_Activation):
    """x * Phi(x), Phi the normal distribution function; approximate: "none" or "tanh".

    Hendrycks & Gimpel 2016 [hendrycks2016gaussian].
    """

    _settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)


class SiLU(_Plain):
    """x * sigmoid(x) (Elfwing et al. 2018 [elfwing2018sigmoid])."""

    def forward(self, x: Any) -> Any:
        return ops.silu(x)


class Mish(_Plain):
    """x tanh(softplus(x)) (Misra 2020 [misra2020mish])."""

    def forward(self, x: Any) -> Any:
        return F.mish(x)


class Sigmoid(_Activation):
    """1 / (1 + e^-x)."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class Hardsigmoid(_Plain):
    """relu6(x + 3) / 6."""

    def forward(self, x: Any) -> Any:
        return F.hardsigmoid(x)


class Hardswish(_Plain):
    """x relu6(x + 3) / 6."""

    def forward(self, x: Any) -> Any:
        return F.hardswish(x)


class Tanh(_Activation):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]."""

    _settings = "min_val", "max_val"

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: Any) -> Any:
        return F.hardtanh(x, self.min_val, self.max_val)


class Tanhshrink(_Activation):
    """x - tanh(x)."""

    def forward(self, x: Any) -> Any:
        return F.tanhshrink(x)


class Hardshrink(_Activation):
    """0 for |x| <= lambd, else x."""

    _settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return F.hardshrink(x, self.lambd)


class Softshrink(_Activation):
    """x moved towards 0 by lambd, and 0 for |x| <= lambd."""

    _settings = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return F.softshrink(x, self.lambd)


class Softsign(_Activation):
    """x / (1 + |x|)."""

    def forward(self, x: Any) -> Any:
        return F.softsign(x)


class Softplus(_Activation):
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""

    _settings = "beta", "threshold"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Any:
        return F.softplus(x, self.beta, self.threshold)


class Threshold(_Activation):
    """x for x > threshold, else value."""

    _settings = "threshold", "value"

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, x: Any) -> Any:
        return F.threshold(x, self.threshold, self.value)


class LogSigmoid(_Activation):
    """log(1 / (1 + e^-x)), finite however negative x is."""

    def forward(self, x: Any) -> Any:
        return ops.logsigmoid(x)


class GLU(_Activation):
    """a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017 [dauphin2017language])."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return F.glu(x, self.dim)


class Softmax(_Activation):
    """e^x / sum e^x along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, dim=self.dim)


class Softmin(_Activation):
    """softmax(-x) along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return F.softmin(x, dim=self.dim)


class LogSoftmax(_Activation):
    """x - log sum e^x along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, dim=self.dim)


__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]  # fmt: skip
