"""Optimisers. A step rebinds `.data` to a new array: what a graph has saved stays as it was.

In the equations p is a parameter, g its gradient (`.grad`), t the number of steps that the parameter has taken, and
every operation is element by element. Parameters without a gradient are skipped and take no step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinyres.backend import namespace
from tinyres.tensor import Array, Tensor

State = dict[str, Any]  # of one parameter: arrays and step counts by name; empty before its first step


class Optimizer:
    """The base: holds the parameters, their state and the settings; a subclass defines `update`.

    Settings are attributes, so that a schedule may assign `optimizer.lr` between steps.

    Raises:
        ValueError: there are no parameters, one comes twice, or a setting is out of range.
        TypeError: something is no tensor of a floating dtype, or not a leaf.
    """

    settings: tuple[str, ...] = ()
    lr: float
    weight_decay: float

    def __init__(self, params: Iterable[Tensor], **settings: Any) -> None:
        kind = type(self).__name__
        if hasattr(params, "parameters"):
            raise TypeError(f"{kind}: got a module; pass its parameters: {kind}(model.parameters(), ...)")
        self.params: list[Tensor] = [params] if isinstance(params, Tensor) else list(params)
        self.state: list[State] = [{} for _ in self.params]
        if not self.params:
            raise ValueError(
                f"{kind}: there are no parameters; a generator that was used up is empty, too, and modules in a plain "
                "list are not found: put them into nn.ModuleList"
            )
        if len({id(p) for p in self.params}) != len(self.params):
            raise ValueError(f"{kind}: a parameter comes twice and would take two steps at a time")
        for i, p in enumerate(self.params):
            if not isinstance(p, Tensor) or not p.is_leaf or not np.issubdtype(p.dtype, np.floating):
                raise TypeError(f"{kind}: params[{i}] must be a leaf tensor of a floating dtype, got {p!r:.80}")
        self.settings = tuple(settings)
        for name, value in settings.items():
            if name in _LIMITS:
                low, high = _LIMITS[name]
                if not all(low <= v < high for v in (value if isinstance(value, tuple) else (value,))):
                    raise ValueError(f"{kind}: {name} must be at least {low:g} and below {high:g}, got {value}")
            setattr(self, name, value)

    def step(self) -> None:
        """Take one step with every parameter that has a gradient."""
        for i, (p, state) in enumerate(zip(self.params, self.state, strict=True)):
            if p.grad is None:
                continue
            if p.grad.shape != p.shape:
                raise ValueError(f"{type(self).__name__}: params[{i}] has shape {p.shape}, its .grad {p.grad.shape}")
            p.data = self.update(p.data, p.grad.data, state)

    def update(self, p: Array, g: Array, state: State) -> Array:
        """The new array of a parameter; keeps what it needs in `state`. Writes into neither p nor g."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def zero_grad(self) -> None:
        """Forget the gradients: `.grad = None`."""
        for p in self.params:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The settings, and the state of every parameter in order. A snapshot: steps replace arrays."""
        settings = {name: getattr(self, name) for name in self.settings}
        return {"settings": settings, "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` of the same kind of optimiser over the same parameters gave.

        Raises:
            ValueError: settings, number of parameters or a shape do not agree; nothing is changed then.
        """
        settings, states = dict(state_dict["settings"]), list(state_dict["state"])
        what = f"{type(self).__name__}.load_state_dict"
        if set(settings) != set(self.settings):
            raise ValueError(f"{what}: needs the settings {sorted(self.settings)}, got {sorted(settings)}")
        if len(states) != len(self.params):
            raise ValueError(f"{what}: {len(self.params)} parameters, but the state of {len(states)}")
        for i, (p, state) in enumerate(zip(self.params, states, strict=True)):
            for name, value in state.items():
                if getattr(value, "shape", p.shape) != p.shape:
                    raise ValueError(f"{what}: {name} of params[{i}] is {value.shape}, must be {p.shape}")
        for name, value in settings.items():
            setattr(self, name, value)
        self.state = [dict(state) for state in states]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013).

    g <- g + weight_decay p
    b <- momentum b + (1 - dampening) g        (at its first step b <- g)
    p <- p - lr b,   with nesterov   p <- p - lr (g + momentum b)
    """

    momentum: float
    dampening: float
    nesterov: bool

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and dampening = 0, got {momentum} and {dampening}")
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, **settings, nesterov=nesterov)

    def update(self, p: Array, g: Array, state: State) -> Array:
        g = _decayed(p, g, self.weight_decay)
        if self.momentum:
            old = state.get("momentum_buffer")
            b = g if old is None else self.momentum * old + (1 - self.dampening) * g
            state["momentum_buffer"] = b
            g = g + self.momentum * b if self.nesterov else b
        return _minus(p, self.lr, g)


class Adam(Optimizer):
    """Steps of about lr in each coordinate, from running moments of the gradient (Kingma & Ba 2015).

    g <- g + weight_decay p
    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    betas: tuple[float, float]
    eps: float

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay)

    def update(self, p: Array, g: Array, state: State) -> Array:
        return self._adam(p, _decayed(p, g, self.weight_decay), state)

    def _adam(self, p: Array, g: Array, state: State) -> Array:
        b1, b2 = self.betas
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = _average(state.get("exp_avg"), g, b1)
        v = state["exp_avg_sq"] = _average(state.get("exp_avg_sq"), g * g, b2)
        root = namespace(v).sqrt(v) / math.sqrt(1 - b2**t)
        return _minus(p, self.lr / (1 - b1**t), m / (root + self.eps))


class AdamW(Adam):
    """Adam with the decay taken out of the gradient: p <- (1 - lr weight_decay) p, then Adam without weight_decay.

    Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p: Array, g: Array, state: State) -> Array:
        return self._adam(p * float(1 - self.lr * self.weight_decay), g, state)


class RMSprop(Optimizer):
    """The gradient divided by its running root mean square (Tieleman & Hinton 2012, lecture 6.5).

    g <- g + weight_decay p
    v <- alpha v + (1 - alpha) g^2
    a <- alpha a + (1 - alpha) g       (centered: v - a^2 stands for v below; Graves 2013)
    b <- momentum b + g / (sqrt(v) + eps)
    p <- p - lr b
    """

    alpha: float
    eps: float
    momentum: float
    centered: bool

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def update(self, p: Array, g: Array, state: State) -> Array:
        xp = namespace(p)
        g = _decayed(p, g, self.weight_decay)
        v = state["square_avg"] = _average(state.get("square_avg"), g * g, self.alpha)
        if self.centered:
            a = state["grad_avg"] = _average(state.get("grad_avg"), g, self.alpha)
            v = xp.maximum(v - a * a, 0)  # a constant gradient leaves rounding errors of either sign
        b = g / (xp.sqrt(v) + self.eps)
        if self.momentum:
            old = state.get("momentum_buffer")
            b = state["momentum_buffer"] = b if old is None else self.momentum * old + b
        return _minus(p, self.lr, b)


_BELOW_ONE, _ANY = (0.0, 1.0), (0.0, math.inf)
_LIMITS = dict.fromkeys(("lr", "weight_decay", "eps", "momentum"), _ANY) | dict.fromkeys(("betas", "alpha"), _BELOW_ONE)


def _decayed(p: Array, g: Array, weight_decay: float) -> Array:
    return g + weight_decay * p if weight_decay else g


def _average(old: Array | None, new: Array, keep: float) -> Array:
    """keep * old + (1 - keep) * new, from zero."""
    return (1 - keep) * new if old is None else keep * old + (1 - keep) * new


def _minus(p: Array, lr: float, direction: Array) -> Array:
    # Into an array of p's layout: the gradient may come in another, and a ufunc left alone chooses between the two.
    return namespace(p).subtract(p, float(lr) * direction, out=namespace(p).empty_like(p))


__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
