"""More activation functions, composed of others: smooth ones and those made of straight lines.

At a kink, the derivative is that of the flat side, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

from tinyres.autograd.calling import public
from tinyres.autograd.tensor import raw
from tinyres.ops.activation import elu_, sigmoid, softplus, tanh
from tinyres.ops.elementwise import abs, floating, where
from tinyres.ops.kinds import fitting
from tinyres.ops.shape import axes_of, reshape, split
from tinyres.ops.softmax import softmax
from tinyres.refusals.wording import describe


# -- smooth ---------------------------------------------------------------------------------------------------------
@public
def selu(input: Any) -> Any:
    """1.0507 elu(x, 1.6733): keeps mean 0 and variance 1 from layer to layer (Klambauer et al. 2017
    [klambauer2017self], "Self-normalizing neural networks")."""
    return 1.0507009873554804934193349852946 * elu_(input, alpha=1.6732632423543772848170429916717)


@public
def celu(input: Any, alpha: float = 1.0) -> Any:
    """x for x > 0, else alpha (e^(x / alpha) - 1): smooth at 0 for each alpha (Barron 2017
    [barron2017continuously], "Continuously differentiable exponential linear units")."""
    return alpha * elu_(input / alpha, alpha=1.0)


@public
def mish(input: Any) -> Any:
    """x tanh(softplus(x)) (Misra 2020 [misra2020mish])."""
    return input * tanh(softplus(input))


@public
def softsign(input: Any) -> Any:
    """x / (1 + |x|)."""
    return input / (1 + abs(input))


@public
def tanhshrink(input: Any) -> Any:
    """x - tanh(x)."""
    return input - tanh(input)


@public
def softmin(input: Any, dim: int | None = None, *, dtype: Any = None) -> Any:
    """softmax(-x) along `dim` (default: the last)."""
    return softmax(-floating(input), dim, dtype=dtype)


@public
def glu(input: Any, dim: int = -1) -> Any:
    """a sigmoid(b), where a and b are the halves of x along `dim` (Dauphin et al. 2017 [dauphin2017language]).

    Raises:
        ValueError: that axis has an odd size.
    """
    if not input.ndim:
        raise ValueError("glu: needs at least one axis, got a single number")
    (axis,) = axes_of(dim, input.ndim)
    if input.shape[axis] % 2:
        raise ValueError(f"glu: axis {dim} must have an even size, got shape {tuple(input.shape)}")
    a, b = split(input, [input.shape[axis] // 2] * 2, axis)
    return a * sigmoid(b)


# -- made of straight lines -----------------------------------------------------------------------------------------
@public
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x limited to [min_val, max_val]; unlike in `clip`, the gradient at the bounds is 0."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be above max_val, got {min_val} and {max_val}")
    low, high = fitting(min_val, input), fitting(max_val, input)
    return where(input <= min_val, low, where(input >= max_val, high, input))


@public
def relu6(input: Any) -> Any:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0)


@public
def hardsigmoid(input: Any) -> Any:
    """relu6(x + 3) / 6."""
    return relu6(input + 3) / 6


@public
def hardswish(input: Any) -> Any:
    """x relu6(x + 3) / 6."""
    return input * hardsigmoid(input)


@public
def threshold(input: Any, threshold: float, value: float) -> Any:
    """x for x > threshold, else value."""
    return where(input <= threshold, fitting(value, input), input)


@public
def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """0 for |x| <= lambd, else x."""
    return where(abs(input) <= lambd, 0.0, input)


@public
def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """x moved towards 0 by lambd, and 0 for |x| <= lambd: the proximal map of lambd |x|."""
    if lambd < 0:
        raise ValueError(f"softshrink: lambd must be at least 0, got {lambd}")
    return where(abs(input) <= lambd, 0.0, where(input > 0, input - lambd, input + lambd))


@public
def prelu(input: Any, weight: Any) -> Any:
    """x for x > 0, else w x, with a slope w that is learned (He et al. 2015 [he2015delving]).

    Args:
        weight: one slope, (1,) or (), or one for each channel, (C,): axis 1 of the input.
    """
    if weight.ndim > 1 or (weight.size != 1 and (input.ndim < 2 or weight.shape[0] != input.shape[1])):
        raise ValueError(
            f"prelu: weight must hold one slope, or one for each channel (axis 1 of the input, {tuple(input.shape)}), "
            f"got {describe(raw(weight))}"
        )
    slopes = reshape(weight, (1, -1, *(1,) * (input.ndim - 2)) if weight.size != 1 else ())
    return where(input > 0, input, slopes * input)
