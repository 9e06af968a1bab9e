"""SGD, Adam, AdamW and RMSprop. A step rebinds `.data` to a new array, so the values saved in a graph do not change.

In the equations p is a parameter, g its gradient (`.grad`), and t the number of steps that the parameter has taken; all
operations are elementwise. Parameters without a gradient are skipped. `foreach` and `fused`, which are for PyTorch's
sake, change nothing: the kernels are fused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinyres_kernels import settings

from tinyres.arrays import namespace
from tinyres.autograd.tensor import Array
from tinyres.optim.optimizer import Call, KernelOptimizer, State


class SGD(KernelOptimizer):
    """Stochastic gradient descent, optionally with momentum or Nesterov momentum.

    Momentum: Polyak 1964 [polyak1964some]; Nesterov's: Sutskever et al. 2013 [sutskever2013importance].

    g <- g + weight_decay p
    b <- momentum b + (1 - dampening) g        (at its first step b <- g)
    p <- p - lr b,   with nesterov   p <- p - lr (g + momentum b)
    """

    kernel = "sgd"
    momentum: float
    dampening: float
    nesterov: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, **settings, nesterov=nesterov)

    def check_group(self, group: Mapping[str, Any]) -> None:
        momentum, dampening = group["momentum"], group["dampening"]
        if group["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and dampening = 0, got {momentum} and {dampening}")

    def how(self, group: Mapping[str, Any], step: int) -> settings.Sgd:
        lr, momentum, dampening, decay = _floats(group, "lr", "momentum", "dampening", "weight_decay")
        return settings.Sgd(lr, momentum, dampening, decay, bool(group["nesterov"]))

    def call(self, p: Array, g: Array, state: State, group: Mapping[str, Any]) -> Call:
        old, out, new = state.get("momentum_buffer"), _like(p), _like(p) if group["momentum"] else None
        return Call((p, g, old, out, new), self.how(group, 0), out, {} if new is None else {"momentum_buffer": new})


class Adam(KernelOptimizer):
    """Steps of about lr in each coordinate, from running moments of the gradient (Kingma & Ba 2015 [kingma2015adam]).

    g <- g + weight_decay p
    m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
    p <- p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    """

    kernel = "adam"
    betas: tuple[float, float]
    eps: float

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        if amsgrad:
            raise ValueError(f"{type(self).__name__}: amsgrad is left out: a larger betas[1] forgets as slowly")
        pair = tuple(betas) if isinstance(betas, list) else betas
        super().__init__(params, lr=lr, betas=pair, eps=eps, weight_decay=weight_decay)

    decoupled = False

    def how(self, group: Mapping[str, Any], step: int) -> settings.Adam:
        lr, eps, decay = _floats(group, "lr", "eps", "weight_decay")
        beta1, beta2 = map(float, group["betas"])
        return settings.Adam(lr, beta1, beta2, eps, decay, self.decoupled, step)

    def call(self, p: Array, g: Array, state: State, group: Mapping[str, Any]) -> Call:
        step, out, m, v = state.get("step", 0) + 1, _like(p), _like(p), _like(p)
        new = {"step": step, "exp_avg": m, "exp_avg_sq": v}
        return Call((p, g, state.get("exp_avg"), state.get("exp_avg_sq"), out, m, v), self.how(group, step), out, new)


class AdamW(Adam):
    """Adam with the decay taken out of the gradient: p <- (1 - lr weight_decay) p, then Adam without weight_decay.

    Loshchilov & Hutter 2019 [loshchilov2019decoupled], "Decoupled weight decay regularization".
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class RMSprop(KernelOptimizer):
    """The gradient divided by its running root mean square (Tieleman & Hinton 2012 [tieleman2012lecture], lecture 6.5).

    g <- g + weight_decay p
    v <- alpha v + (1 - alpha) g^2
    a <- alpha a + (1 - alpha) g       (centered: v - a^2 stands for v below; Graves 2013 [graves2013generating])
    b <- momentum b + g / (sqrt(v) + eps)
    p <- p - lr b
    """

    kernel = "rmsprop"
    alpha: float
    eps: float
    momentum: float
    centered: bool

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        foreach: bool | None = None,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered
        )

    def how(self, group: Mapping[str, Any], step: int) -> settings.Rmsprop:
        return settings.Rmsprop(*_floats(group, "lr", "alpha", "eps", "weight_decay", "momentum"))

    def call(self, p: Array, g: Array, state: State, group: Mapping[str, Any]) -> Call:
        out, new = _like(p), {"square_avg": _like(p)}
        if group["centered"]:
            new["grad_avg"] = _like(p)
        if group["momentum"]:
            new["momentum_buffer"] = _like(p)
        names = ("square_avg", "grad_avg", "momentum_buffer")
        return Call((p, g, *map(state.get, names), out, *map(new.get, names)), self.how(group, 0), out, new)


def _floats(group: Mapping[str, Any], *names: str) -> list[float]:
    """Settings as Python's numbers: one that a schedule took from NumPy would turn float32 into float64."""
    return [float(group[name]) for name in names]


def _like(p: Array) -> Array:
    """An uninitialised array in p's memory layout, whatever the layout of the gradient."""
    return namespace(p).empty_like(p)


__all__ = ["SGD", "Adam", "AdamW", "RMSprop"]
