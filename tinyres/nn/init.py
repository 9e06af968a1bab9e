"""Initialisers. Each rebinds `.data` to a new array, since a graph may hold the old one, and returns its tensor.

Values are drawn on the CPU, in logical order, from `rng` (a `numpy.random.Generator`, a seed, or None for the one that
`tr.manual_seed` seeds). So they depend neither on the device nor on the memory layout. As in PyTorch, the fans of a
weight are

    fan_in = shape[1] * receptive field,    fan_out = shape[0] * receptive field.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres.arrays.random import Rng, rng_of
from tinyres.autograd.in_place import is_state
from tinyres.autograd.tensor import Tensor, rebind
from tinyres.nn.convert import fill_like
from tinyres.refusals.absent import told
from tinyres.refusals.blame import explain_operands


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Set every entry to `value`."""
    return _fill(tensor, np.asarray(value))


def zeros_(tensor: Tensor) -> Tensor:
    """Set every entry to 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every entry to 1."""
    return constant_(tensor, 1.0)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Draw entries from N(mean, std^2)."""
    return _fill(tensor, rng_of(rng).normal(mean, std, tensor.shape))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Draw entries from U(a, b)."""
    return _fill(tensor, rng_of(rng).uniform(a, b, tensor.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights compensate for the variance that a nonlinearity removes.

    linear, conv2d, conv_transpose2d, sigmoid: 1; tanh: 5/3; relu: sqrt(2); leaky_relu: sqrt(2 / (1 + param^2)).

    Args:
        param: the negative slope of leaky_relu (default 0.01).
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"linear": 1.0, "conv2d": 1.0, "conv_transpose2d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2)}
    if nonlinearity not in gains:
        known = ", ".join([*gains, "leaky_relu"])
        raise ValueError(f"calculate_gain: no gain is known for {nonlinearity!r}; there are {known}")
    return gains[nonlinearity]


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> Tensor:
    """He initialisation: N(0, gain^2 / fan) keeps the variance of activations (fan_in) or gradients (fan_out).

    He et al. 2015 [he2015delving], "Delving deep into rectifiers".

    Args:
        a: the negative slope, if the nonlinearity is leaky_relu (0 is relu).
        mode: "fan_in" or "fan_out".

    Raises:
        ValueError: the tensor has fewer than two axes; the mode or nonlinearity is unknown.
    """
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), rng=rng)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", *, rng: Rng = None
) -> Tensor:
    """He initialisation, uniform: U(-b, b) with b = gain * sqrt(3 / fan), the variance of `kaiming_normal_`."""
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Glorot initialisation: N(0, gain^2 * 2 / (fan_in + fan_out)), a compromise of activations and gradients.

    Glorot & Bengio 2010 [glorot2010understanding], "Understanding the difficulty of training deep feedforward neural
    networks".
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans("xavier_normal_", tensor))), rng=rng)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Glorot initialisation, uniform: U(-b, b) with b = gain * sqrt(6 / (fan_in + fan_out)).

    Glorot & Bengio 2010 [glorot2010understanding].
    """
    bound = gain * math.sqrt(6 / sum(fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound, rng=rng)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, *, rng: Rng = None
) -> Tensor:
    """Draw entries from N(mean, std^2), those outside of [a, b] again until they are inside.

    Raises:
        ValueError: hardly any draw would be inside.
    """
    share = 0.5 * (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2))))
    if not share > 1e-3:
        raise ValueError(f"trunc_normal_: [{a}, {b}] holds next to nothing of N({mean}, {std}^2)")
    rng = rng_of(rng)
    values = rng.normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = rng.normal(mean, std, int(outside.sum()))
    return _fill(tensor, values)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, as far as it fits: a linear layer that passes its inputs on."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: needs a matrix, got shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution's weight that passes its inputs on, channel by channel of each group, as far as there are any."""
    if tensor.ndim < 3 or groups < 1 or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: needs (O, C, ...) with O divisible by groups={groups}, got shape {tensor.shape}")
    values, rows = np.zeros(tensor.shape), tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for i in range(min(rows, tensor.shape[1])):
            values[(group * rows + i, i, *centre)] = 1
    return _fill(tensor, values)


def orthogonal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None) -> Tensor:
    """Orthogonal initialisation: W W^T = gain^2 I (W^T W if W is tall), W the weight as a matrix of shape[0] rows.

    It is drawn uniformly from such matrices. All singular values are `gain`, so nothing vanishes in a deep linear net.
    Saxe et al. 2014 [saxe2014exact], "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks".
    """
    fans("orthogonal_", tensor)
    rows = tensor.shape[0]
    columns = tensor.size // rows if rows else 0
    draws = rng_of(rng).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draws)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # else LAPACK's sign convention would make q non-uniform
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def default_(weight: Tensor, bias: Tensor | None, rng: Rng) -> None:
    """What linear and convolutional layers start from: U(-b, b) with b = 1 / sqrt(fan_in), as in PyTorch."""
    rng = rng_of(rng)
    kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)
    if bias is not None:
        bound = 1 / math.sqrt(max(fans("bias", weight)[0], 1))
        uniform_(bias, -bound, bound, rng=rng)


def fans(op: str, tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight."""
    if tensor.ndim < 2:
        raise ValueError(f"{op}: needs a weight of at least two axes (out, in, ...), got shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _kaiming_std(op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{op}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = fans(op, tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _fill(tensor: Tensor, values: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"init: needs a tensor, got {type(tensor).__name__}; pass the parameter itself, layer.weight, and not its "
            ".data, which is an array of its values"
        )
    if tensor._data.base is not None and not is_state(tensor):
        raise ValueError(
            "init: this tensor shows a part of another, which would stay as it is; assign to the part of a parameter, "
            "w[0] = ..., inside `with tr.no_grad():`"
        )
    rebind(tensor, fill_like(tensor.data, values))
    return tensor


__all__ = [
    "Rng", "calculate_gain", "constant_", "default_", "dirac_", "eye_", "fans", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "orthogonal_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip
globals().update({n: explain_operands(f) for n, f in globals().items() if n in __all__ and n.endswith("_")})
__getattr__ = told(__name__)
