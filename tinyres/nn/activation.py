"""Activation functions as modules; the functions, with their equations, are in `tinyres.nn.functional`.

Those made of straight lines, but for the ReLU and the leaky one, are in `piecewise.py`.

Where PyTorch's modules may work in place, these take `inplace`, and return a new tensor all the same: tensors are
values.
"""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.nn import functional as F
from tinyres.nn.module import Module


class Activation(Module):
    _settings: tuple[str, ...] = ()  # the attributes that the repr shows

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._settings)


class Plain(Activation):
    """Without settings."""

    def __init__(self, inplace: bool = False) -> None:
        pass


class ReLU(Plain):
    """max(x, 0)."""

    def forward(self, x: Any) -> Any:
        return ops.relu(x)


class LeakyReLU(Activation):
    """x for x > 0, else negative_slope * x (Maas et al. 2013 [maas2013rectifier])."""

    _settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)


class ELU(Activation):
    """x for x > 0, else alpha * (e^x - 1) (Clevert et al. 2016 [clevert2016fast])."""

    _settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha)


class CELU(Activation):
    """x for x > 0, else alpha (e^(x / alpha) - 1) (Barron 2017 [barron2017continuously])."""

    _settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return F.celu(x, self.alpha)


class SELU(Plain):
    """1.0507 elu(x, 1.6733) (Klambauer et al. 2017 [klambauer2017self])."""

    def forward(self, x: Any) -> Any:
        return F.selu(x)


class GELU(Activation):
    """x * Phi(x), Phi the normal distribution function; approximate: "none" or "tanh".

    Hendrycks & Gimpel 2016 [hendrycks2016gaussian].
    """

    _settings = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)


class SiLU(Plain):
    """x * sigmoid(x) (Elfwing et al. 2018 [elfwing2018sigmoid])."""

    def forward(self, x: Any) -> Any:
        return ops.silu(x)


class Mish(Plain):
    """x tanh(softplus(x)) (Misra 2020 [misra2020mish])."""

    def forward(self, x: Any) -> Any:
        return F.mish(x)


class Sigmoid(Activation):
    """1 / (1 + e^-x)."""

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class Tanh(Activation):
    """The hyperbolic tangent."""

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Tanhshrink(Activation):
    """x - tanh(x)."""

    def forward(self, x: Any) -> Any:
        return F.tanhshrink(x)


class Softsign(Activation):
    """x / (1 + |x|)."""

    def forward(self, x: Any) -> Any:
        return F.softsign(x)


class Softplus(Activation):
    """log(1 + e^(beta x)) / beta, and x where beta x > threshold."""

    _settings = "beta", "threshold"

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Any) -> Any:
        return F.softplus(x, self.beta, self.threshold)


class LogSigmoid(Activation):
    """log(1 / (1 + e^-x)), finite however negative x is."""

    def forward(self, x: Any) -> Any:
        return ops.logsigmoid(x)


class GLU(Activation):
    """a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017 [dauphin2017language])."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return F.glu(x, self.dim)


class SwiGLU(Activation):
    """a silu(b), where a and b are the halves of x along `dim` (Shazeer 2020 [shazeer2020glu])."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        if x.shape[self.dim] % 2:
            raise ValueError(f"{self.label()}: axis {self.dim} must have an even size, got shape {tuple(x.shape)}")
        a, b = ops.chunk(x, 2, self.dim)
        return a * ops.silu(b)


class Softmax(Activation):
    """e^x / sum e^x along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, dim=self.dim)


class Softmin(Activation):
    """softmax(-x) along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return F.softmin(x, dim=self.dim)


class LogSoftmax(Activation):
    """x - log sum e^x along `dim`."""

    _settings = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, dim=self.dim)


__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "ReLU", "SiLU", "Sigmoid",
    "Softmax", "Softmin", "Softplus", "Softsign", "SwiGLU", "Tanh", "Tanhshrink",
]  # fmt: skip
