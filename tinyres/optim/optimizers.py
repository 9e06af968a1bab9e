"""Optimisers. A step rebinds `.data` to a new array: what a graph has saved stays as it was.

In the equations p is a parameter, g its gradient (`.grad`), t the number of steps that the parameter has taken, and
every operation is element by element. Parameters without a gradient are skipped and take no step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinyres.backend import kernels_for, namespace
from tinyres.nn.convert import as_array, fill_like
from tinyres.optim.devices import check_devices
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
        """Take one step with every parameter that has a gradient.

        Raises:
            ValueError: a gradient of another shape than its parameter.
            RuntimeError: a gradient, or what an earlier step has kept, on another device than its parameter.
        """
        for i, (p, state) in enumerate(zip(self.params, self.state, strict=True)):
            if p.grad is None:
                continue
            if p.grad.shape != p.shape:
                raise ValueError(f"{type(self).__name__}: params[{i}] has shape {p.shape}, its .grad {p.grad.shape}")
            check_devices(type(self).__name__, i, p, state)
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

        Arrays take the device, the dtype and the memory layout of their parameter.

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
        self.state = [
            {name: fill_like(p.data, as_array(v)) if hasattr(v, "shape") else v for name, v in state.items()}
            for p, state in zip(self.params, states, strict=True)
        ]


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
        old, new = state.get("momentum_buffer"), _like(p) if self.momentum else None
        how = _floats(lr=self.lr, momentum=self.momentum, dampening=self.dampening, weight_decay=self.weight_decay)
        out: Array = kernels_for(p, g).sgd(p, g, old, _like(p), new, **how, nesterov=self.nesterov)
        if new is not None:
            state["momentum_buffer"] = new
        return out


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

    decoupled = False

    def update(self, p: Array, g: Array, state: State) -> Array:
        step, m, v = state.get("step", 0) + 1, _like(p), _like(p)
        how = _floats(
            lr=self.lr, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps, weight_decay=self.weight_decay
        )
        how |= {"decoupled": self.decoupled, "step": step}
        old_m, old_v = state.get("exp_avg"), state.get("exp_avg_sq")
        out: Array = kernels_for(p, g).adam(p, g, old_m, old_v, _like(p), m, v, **how)
        state.update(step=step, exp_avg=m, exp_avg_sq=v)
        return out


class AdamW(Adam):
    """Adam with the decay taken out of the gradient: p <- (1 - lr weight_decay) p, then Adam without weight_decay.

    Loshchilov & Hutter 2019, "Decoupled weight decay regularization".
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


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
        new = {"square_avg": _like(p)}
        if self.centered:
            new["grad_avg"] = _like(p)
        if self.momentum:
            new["momentum_buffer"] = _like(p)
        names = ("square_avg", "grad_avg", "momentum_buffer")
        how = _floats(lr=self.lr, alpha=self.alpha, eps=self.eps, weight_decay=self.weight_decay)
        how |= _floats(momentum=self.momentum)
        olds, news = map(state.get, names), map(new.get, names)
        out: Array = kernels_for(p, g).rmsprop(p, g, *olds, _like(p), *news, **how)
        state.update(new)
        return out


_BELOW_ONE, _ANY = (0.0, 1.0), (0.0, math.inf)
_LIMITS = dict.fromkeys(("lr", "weight_decay", "eps", "momentum"), _ANY) | dict.fromkeys(("betas", "alpha"), _BELOW_ONE)


def _like(p: Array) -> Array:
    """Room in p's memory layout. The gradient may come in another one: the kernel, not the arithmetic, decides."""
    return namespace(p).empty_like(p)


def _floats(**settings: Any) -> dict[str, Any]:
    """As Python numbers: one that a schedule took from NumPy would turn float32 into float64."""
    return {name: float(value) for name, value in settings.items()}


__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop"]
