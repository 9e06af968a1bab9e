"""Recurrent cells: one step of a recurrent net. Loop over a sequence: `for x in sequence: state = cell(x, state)`.

Whole sequences, in layers and in both directions, are in `sequence.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.arrays import namespace
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import raw, rebind, wrap
from tinyres.nn import init
from tinyres.nn.convert import fill_like
from tinyres.nn.init import Rng
from tinyres.nn.module import Module, Parameter
from tinyres.ops.linalg import linear

NONLINEARITIES: dict[str, Callable[[Any], Any]] = {"tanh": ops.tanh, "relu": ops.relu, "linear": lambda z: z}


class _Cell(Module):
    """Weights for `gates` numbers per hidden unit, all drawn from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""

    def __init__(self, input_size: int, hidden_size: int, gates: int, bias: bool, rng: Rng) -> None:
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = gates * hidden_size
        self.weight_ih = Parameter(np.empty((rows, input_size), np.float32))
        self.weight_hh = Parameter(np.empty((rows, hidden_size), np.float32))
        self.bias_ih = Parameter(np.empty(rows, np.float32)) if bias else None
        self.bias_hh = Parameter(np.empty(rows, np.float32)) if bias else None
        bound = 1 / math.sqrt(max(hidden_size, 1))
        rng = rng_of(rng)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, rng=rng)

    def _sum(self, x: Any, h: Any) -> Any:
        """x W_ih^T + b_ih + h W_hh^T + b_hh: (..., input_size), (..., hidden_size) -> (..., gates hidden_size)."""
        self._check("x", x, self.input_size)
        self._check("h", h, self.hidden_size, like=x)
        z = ops.matmul(x, self.weight_ih.T) + ops.matmul(h, self.weight_hh.T)
        return z if self.bias_ih is None else z + self.bias_ih + self.bias_hh

    def _check(self, name: str, value: Any, size: int, like: Any = None) -> None:
        lead = "..." if like is None else ", ".join(map(str, like.shape[:-1]))
        if not value.ndim or value.shape[-1] != size or (like is not None and value.shape[:-1] != like.shape[:-1]):
            wanted = f"({lead}, {size})" if lead else f"({size},)"
            raise ValueError(f"{self.label()}: {name} must have shape {wanted}, got {tuple(value.shape)}")

    def _zeros(self, x: Any) -> Any:
        x = raw(x)
        return wrap(namespace(x).zeros((*x.shape[:-1], self.hidden_size), x.dtype))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


class RNNCell(_Cell):
    """h' = phi(x W_ih^T + b_ih + h W_hh^T + b_hh) (Elman 1990 [elman1990finding], "Finding structure in time").

    Over T steps dh_T/dh_0 is a product of T matrices diag(phi') W_hh: it shrinks or grows like the T-th power of W_hh
    (Pascanu et al. 2013 [pascanu2013difficulty], "On the difficulty of training recurrent neural networks").

    Shapes: x (..., input_size), h and h' (..., hidden_size), W_ih (hidden_size, input_size), W_hh (hidden_size,
    hidden_size). Without h the state before is 0.

    Args:
        nonlinearity: phi: "tanh", "relu", or "linear" (which PyTorch lacks: the case that can be solved on paper).

    Raises:
        ValueError: an unknown nonlinearity; x or h of another shape.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", *, rng: Rng = None
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            known = ", ".join(map(repr, NONLINEARITIES))
            raise ValueError(f"RNNCell: nonlinearity must be one of {known}, got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, 1, bias, rng)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, h: Any = None) -> Any:
        return NONLINEARITIES[self.nonlinearity](self._sum(x, self._zeros(x) if h is None else h))

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """A step of long short-term memory: a state c that is gated, and never multiplied by a matrix.

        i, f, g, o = x W_ih^T + b_ih + h W_hh^T + b_hh, cut into four
        c' = sigmoid(f) c + sigmoid(i) tanh(g),    h' = sigmoid(o) tanh(c')

    Along the cell's own path dc_T/dc_0 is the product of the forget gates sigmoid(f): with a bias b_f and weights near
    0 it halves every log(1/2) / log(sigmoid(b_f)) steps, which are 1, 2.2, 5.5 and 103 for b_f = 0, 1, 2, 5. Hochreiter
    & Schmidhuber 1997 [hochreiter1997long], "Long short-term memory"; forget gates: Gers et al. 2000
    [gers2000learning], "Learning to forget".

    Shapes: x (..., input_size), h and c (..., hidden_size), W_ih (4 hidden_size, input_size), W_hh (4 hidden_size,
    hidden_size). Without a state h and c before are 0. Returns (h', c').

    Args:
        forget_bias: what b_ih + b_hh is at first for the forget gate (1 in Jozefowicz et al. 2015
            [jozefowicz2015empirical], "An empirical exploration of recurrent network architectures"); None: drawn like
            the rest, as in PyTorch.

    Raises:
        ValueError: a forget_bias without biases; x, h or c of another shape.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        forget_bias: float | None = None,
        rng: Rng = None,
    ) -> None:
        super().__init__(input_size, hidden_size, 4, bias, rng)
        if forget_bias is None:
            return
        if self.bias_ih is None or self.bias_hh is None:
            raise ValueError(f"LSTMCell: forget_bias={forget_bias} needs biases to stand in, but bias is False")
        for parameter, value in ((self.bias_ih, forget_bias), (self.bias_hh, 0.0)):
            values = parameter.data.copy()
            values[hidden_size : 2 * hidden_size] = value
            rebind(parameter, fill_like(parameter.data, values))

    def forward(self, x: Any, state: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
        h, c = (self._zeros(x), self._zeros(x)) if state is None else state
        self._check("c", c, self.hidden_size, like=x)
        return lstm_step(self._sum(x, h), c)


class GRUCell(_Cell):
    """A step of a gated recurrent unit (Cho et al. 2014 [cho2014learning]).

        r, z = sigmoid(x W_ih^T + b_ih + h W_hh^T + b_hh), the first two of three parts
        n = tanh(x W_in^T + b_in + r (h W_hn^T + b_hn)),    h' = (1 - z) n + z h

    Where z is near 1, h is carried on as it is, and so is its gradient.

    Shapes: x (..., input_size), h (..., hidden_size), W_ih (3 hidden_size, input_size), W_hh (3 hidden_size,
    hidden_size). Without h the state before is 0.

    Raises:
        ValueError: x or h of another shape.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, rng: Rng = None) -> None:
        super().__init__(input_size, hidden_size, 3, bias, rng)

    def forward(self, x: Any, h: Any = None) -> Any:
        h = self._zeros(x) if h is None else h
        self._check("x", x, self.input_size)
        self._check("h", h, self.hidden_size, like=x)
        return gru_step(linear(x, self.weight_ih, self.bias_ih), linear(h, self.weight_hh, self.bias_hh), h)


def lstm_step(z: Any, c: Any) -> tuple[Any, Any]:
    """(h', c') from the sums z (..., 4 H) before the gates, and c (..., H)."""
    i, f, g, o = ops.split(z, c.shape[-1], -1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def gru_step(from_x: Any, from_h: Any, h: Any) -> Any:
    """h' from what comes of x and of h before the gates, (..., 3 H) each, and h (..., H)."""
    width = h.shape[-1]
    gates = ops.sigmoid(from_x[..., : 2 * width] + from_h[..., : 2 * width])
    r, z = ops.split(gates, width, -1)
    n = ops.tanh(from_x[..., 2 * width :] + r * from_h[..., 2 * width :])
    return n + z * (h - n)


__all__ = ["NONLINEARITIES", "GRUCell", "LSTMCell", "RNNCell", "gru_step", "lstm_step"]
