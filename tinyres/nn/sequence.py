"""Recurrent nets over whole sequences: in several layers, and in both directions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinyres import ops
from tinyres.arrays import namespace
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import raw, wrap
from tinyres.nn import functional as F
from tinyres.nn import init
from tinyres.nn.init import Rng
from tinyres.nn.module import Module, Parameter
from tinyres.nn.recurrent import NONLINEARITIES, gru_step, lstm_step
from tinyres.ops.linalg import linear

Weights = tuple[Any, Any, Any, Any]  # W_ih, W_hh, b_ih, b_hh


class _Recurrent(Module):
    """Layers of cells: what an LSTM, a GRU and a plain net have in common. Weights are named as in PyTorch."""

    _gates = 1
    _states = 1  # an LSTM has two: h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Rng = None,
    ) -> None:
        kind = type(self).__name__
        if num_layers < 1:
            raise ValueError(f"{kind}: num_layers must be at least 1, got {num_layers}")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{kind}: dropout is a probability and must be in [0, 1], got {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.rng = rng_of(rng)
        rows, bound = self._gates * hidden_size, 1 / math.sqrt(max(hidden_size, 1))
        for layer in range(num_layers):
            for end in self._ends(layer):
                columns = hidden_size * len(self._ends(0)) if layer else input_size
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, columns), "weight_hh": (rows, hidden_size)}
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
                for name, shape in shapes.items():
                    parameter = Parameter(np.empty(shape, np.float32))
                    setattr(self, name + end, init.uniform_(parameter, -bound, bound, rng=self.rng))

    def _ends(self, layer: int) -> list[str]:
        """What the names of a layer's parameters end in, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _weights(self, end: str) -> Weights:
        names = "weight_ih", "weight_hh", "bias_ih", "bias_hh"
        w_ih, w_hh, b_ih, b_hh = (getattr(self, name + end, None) for name in names)
        return w_ih, w_hh, b_ih, b_hh

    def _run(self, x: Any, states: list[Any] | None) -> tuple[Any, list[Any]]:
        """The outputs of the last layer, and the last states of each kind, (layers directions, N, H)."""
        axis = 1 if self.batch_first else 0
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size or not x.shape[axis if x.ndim == 3 else 0]:
            shape = f"(N, L, {self.input_size})" if self.batch_first else f"(L, N, {self.input_size})"
            raise ValueError(
                f"{self.label()}: x must have shape {shape} or (L, {self.input_size}), with at least one step, "
                f"got {tuple(x.shape)}"
            )
        alone = x.ndim == 2
        sequence = ops.unsqueeze(x, 1) if alone else ops.transpose(x, 0, 1) if self.batch_first else x  # (L, N, I)
        directions = self._ends(0)
        first = self._first(sequence, states, alone)
        last: list[list[Any]] = [[] for _ in range(self._states)]
        for layer in range(self.num_layers):
            if layer:
                sequence = F.dropout(sequence, self.dropout, self.training, rng=self.rng)
            outputs = []
            for k, end in enumerate(self._ends(layer)):
                state = tuple(s[layer * len(directions) + k] for s in first)
                found, state = self._along(sequence, state, self._weights(end), backwards=k == 1)
                outputs.append(found)
                for kept, s in zip(last, state, strict=True):
                    kept.append(s)
            sequence = outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, -1)
        final = [ops.stack(kept) for kept in last]
        if alone:
            return ops.squeeze(sequence, 1), [ops.squeeze(s, 1) for s in final]
        return ops.transpose(sequence, 0, 1) if self.batch_first else sequence, final

    def _first(self, sequence: Any, states: list[Any] | None, alone: bool) -> list[Any]:
        """The states before the first step, (layers directions, N, H) each: those given, or zeros."""
        count, batch = self.num_layers * len(self._ends(0)), sequence.shape[1]
        if states is None:
            x = raw(sequence)
            return [wrap(namespace(x).zeros((count, batch, self.hidden_size), x.dtype))] * self._states
        shape = (count, self.hidden_size) if alone else (count, batch, self.hidden_size)
        for name, state in zip("hc", states, strict=False):
            if tuple(state.shape) != shape:
                raise ValueError(f"{self.label()}: {name} must have shape {shape}, got {tuple(state.shape)}")
        return [ops.unsqueeze(s, 1) for s in states] if alone else states

    def _along(self, sequence: Any, state: tuple[Any, ...], w: Weights, backwards: bool) -> tuple[Any, tuple[Any, ...]]:
        """One layer in one direction: its outputs (L, N, H), and its last state."""
        w_ih, w_hh, b_ih, b_hh = w
        from_x = _steps(linear(sequence, w_ih, b_ih))  # the product with x is one for all steps
        outputs = []
        for z in reversed(from_x) if backwards else from_x:
            state = self._step(z, linear(state[0], w_hh, b_hh), state)
            outputs.append(state[0])
        return ops.stack(outputs[::-1] if backwards else outputs), state

    def _step(self, from_x: Any, from_h: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        raise NotImplementedError

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        text += f", num_layers={self.num_layers}" if self.num_layers != 1 else ""
        text += ", bias=False" if not self.bias else ""
        text += ", batch_first=True" if self.batch_first else ""
        text += f", dropout={self.dropout}" if self.dropout else ""
        return text + (", bidirectional=True" if self.bidirectional else "")


def _steps(z: Any) -> list[Any]:
    """The slices z[0], z[1], ... By halves, since the gradient of a slice is as large as what it is cut from."""
    if z.shape[0] == 1:
        return [ops.reshape(z, z.shape[1:])]
    half = z.shape[0] // 2
    return _steps(z[:half]) + _steps(z[half:])


class RNN(_Recurrent):
    """Elman's recurrent net over a sequence, in layers: h_t = phi(x_t W_ih^T + b_ih + h_(t-1) W_hh^T + b_hh).

    `forward(x, h_0)` returns (outputs, h_n): the states of the last layer at all steps, and the last of all layers.
    Layer k reads the outputs of layer k - 1. See `RNNCell`, and Elman 1990 [elman1990finding].

    Shapes: x (L, N, input_size), with batch_first (N, L, input_size), of one sequence (L, input_size); outputs
    likewise with D hidden_size; h_0 and h_n (D num_layers, N, hidden_size), without h_0 zeros. D is 2 if bidirectional.

    Args:
        nonlinearity: phi: "tanh", "relu" or "linear".
        dropout: the probability of a zero among the outputs of every layer but the last, in training.
        bidirectional: a second set of weights reads the sequence from its end; outputs of both are joined.

    Raises:
        ValueError: x or h_0 of another shape, a setting out of range.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Rng = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            known = ", ".join(map(repr, NONLINEARITIES))
            raise ValueError(f"RNN: nonlinearity must be one of {known}, got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng=rng)
        self.nonlinearity = nonlinearity

    def forward(self, x: Any, h: Any = None) -> tuple[Any, Any]:
        outputs, (last,) = self._run(x, None if h is None else [h])
        return outputs, last

    def _step(self, from_x: Any, from_h: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return (NONLINEARITIES[self.nonlinearity](from_x + from_h),)


class LSTM(_Recurrent):
    """Long short-term memory over a sequence, in layers; a step is that of `LSTMCell`.

    `forward(x, (h_0, c_0))` returns (outputs, (h_n, c_n)). Shapes and settings are those of `RNN`; the weights of a
    layer hold those of the gates i, f, g, o, one below the other. Hochreiter & Schmidhuber 1997 [hochreiter1997long].
    """

    _gates, _states = 4, 2

    def forward(self, x: Any, state: tuple[Any, Any] | None = None) -> tuple[Any, tuple[Any, Any]]:
        outputs, (h, c) = self._run(x, None if state is None else list(state))
        return outputs, (h, c)

    def _step(self, from_x: Any, from_h: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return lstm_step(from_x + from_h, state[1])


class GRU(_Recurrent):
    """Gated recurrent units over a sequence, in layers; a step is that of `GRUCell`.

    `forward(x, h_0)` returns (outputs, h_n). Shapes and settings are those of `RNN`; the weights of a layer hold those
    of r, z and n, one below the other. Cho et al. 2014 [cho2014learning].
    """

    _gates = 3

    def forward(self, x: Any, h: Any = None) -> tuple[Any, Any]:
        outputs, (last,) = self._run(x, None if h is None else [h])
        return outputs, last

    def _step(self, from_x: Any, from_h: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return (gru_step(from_x, from_h, state[0]),)


__all__ = ["GRU", "LSTM", "RNN"]
