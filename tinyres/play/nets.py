"""Fully connected nets for the playground: seven ways of stacking the same layers, with everything that can be turned.

`tinyres.models` has the architectures of the papers; these have their skips, scales, activations and variances free, so
that theory can be held against all of them. They are put together from the library's own modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays.random import rng_of
from tinyres.models.classifier import Classifier
from tinyres.models.densenet import DenseLayer
from tinyres.nn import init

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {  # by the names of flow.theory.activations
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity, "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus,
}  # fmt: skip
NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
KINDS = ("plain", "residual", "preact", "skipinit", "highway", "densenet")


def mlp(
    kind: str = "residual",
    blocks: int = 50,
    width: int = 64,
    *,
    inputs: int = 2,
    classes: int = 2,
    activation: str = "relu",
    norm: str = "none",
    s_w2: float = 2.0,
    s_b2: float = 0.0,
    skip: float = 1.0,
    branch: float = 1.0,
    alpha: float = 0.0,
    gate_bias: float = -2.0,
    growth: int = 8,
    rng: np.random.Generator | int | None = None,
) -> Classifier:
    """A fully connected net: first layer, `blocks` blocks, linear head. Weights N(0, s_w²/fan_in), biases N(0, s_b²).

        plain      h <- phi(W h)
        residual   h <- skip h + branch W2 phi(W1 h)              W2 from N(0, 1/n): with He's W1, F has unit gain
        preact     h <- skip h + branch W phi(h)
        skipinit   h <- h + alpha W2 phi(W1 phi(h))               alpha is learned; here is where it starts
        highway    h <- T W2 phi(W1 h) + (1 - T) h                T = sigmoid(gate_bias + V h), V starts as 0
        densenet   h <- [h, phi(W h)]                             `growth` new features a block

    A norm stands behind each W of plain, residual and densenet nets, and before phi in preact and skipinit ones;
    highway nets have none. skip and branch are fixed numbers, not learned.

    Args:
        activation: phi, a key of `ACTIVATIONS`.
        norm: "none", "batch" or "layer".
        rng: what the weights are drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no such kind, activation or norm.
    """
    for what, value, known in (
        ("kind", kind, KINDS), ("activation", activation, ACTIVATIONS), ("norm", norm, ["none", *NORMS]),
    ):  # fmt: skip
        if value not in known:
            raise ValueError(f"mlp: {what} must be one of {', '.join(known)}, got {value!r}")
    make = _Maker(activation, "none" if kind == "highway" else norm, s_w2, s_b2, rng_of(rng))
    first, early = make.linear(inputs, width), kind in ("preact", "skipinit")
    stem = nn.Sequential(nn.Flatten(), first, *([] if early else [*make.norm(width), make.phi()]))
    options = {"skip": skip, "branch": branch, "alpha": alpha, "gate_bias": gate_bias, "growth": growth}
    body = nn.Sequential()
    for k in range(blocks):
        body.append(_block(make, kind, width + (growth * k if kind == "densenet" else 0), options))
    out = width + (growth * blocks if kind == "densenet" else 0)
    last = make.linear(out, classes, variance=1.0, bias=0.0)
    return Classifier(stem, body, nn.Sequential(*make.norm(out), make.phi(), last) if early else last)


def set_scales(model: nn.Module, skip: float, branch: float) -> None:
    """Turn the fixed scales of all residual blocks while the net trains."""
    for module in model.modules():
        if isinstance(module, nn.Residual):
            for scale, value in ((module.shortcut, skip), (list(module.branch.children())[-1], branch)):
                if isinstance(scale, Fixed):
                    scale.weight.data = np.full(1, value, scale.weight.dtype)


class Fixed(nn.Scale):
    """y = weight * x with one number, which is not learned."""

    def __init__(self, value: float) -> None:
        super().__init__(value)
        self.weight.requires_grad = False


class _Maker:
    """Layers that share activation, norm, variances and random numbers."""

    def __init__(self, activation: str, norm: str, s_w2: float, s_b2: float, rng: np.random.Generator) -> None:
        self.phi = ACTIVATIONS[activation]
        self._norm, self._s_w2, self._s_b2, self._rng = norm, s_w2, s_b2, rng

    def linear(self, inputs: int, outputs: int, variance: float | None = None, bias: float | None = None) -> nn.Linear:
        layer = nn.Linear(inputs, outputs, rng=self._rng)
        variance, bias = self._s_w2 if variance is None else variance, self._s_b2 if bias is None else bias
        init.normal_(layer.weight, std=math.sqrt(variance / inputs), rng=self._rng)
        assert layer.bias is not None
        init.normal_(layer.bias, std=math.sqrt(bias), rng=self._rng)
        return layer

    def norm(self, width: int) -> list[nn.Module]:
        return [] if self._norm == "none" else [NORMS[self._norm](width)]


def _block(make: _Maker, kind: str, width: int, options: dict[str, Any]) -> nn.Module:
    if kind == "plain":
        return nn.Sequential(make.linear(width, width), *make.norm(width), make.phi())
    if kind == "densenet":
        growth = options["growth"]
        return DenseLayer(nn.Sequential(make.linear(width, growth), *make.norm(growth), make.phi()))
    if kind == "highway":
        gate = make.linear(width, width, variance=0.0)
        assert gate.bias is not None
        init.constant_(gate.bias, options["gate_bias"])
        # Ending in phi, as in the paper, H would be above 0 on average: signals of all samples grow alike.
        last = make.linear(width, width, variance=1.0, bias=0.0)
        return nn.Highway(nn.Sequential(make.linear(width, width), make.phi(), last), gate)
    scale: Any = nn.Scale(options["alpha"]) if kind == "skipinit" else Fixed(options["branch"])
    if kind == "residual":
        inside = [make.linear(width, width), *make.norm(width), make.phi()]
        inside += [make.linear(width, width, variance=1.0, bias=0.0), *make.norm(width)]
    elif kind == "preact":
        inside = [*make.norm(width), make.phi(), make.linear(width, width)]
    else:
        inside = [*make.norm(width), make.phi(), make.linear(width, width)]
        inside += [*make.norm(width), make.phi(), make.linear(width, width)]
    return nn.Residual(nn.Sequential(*inside, scale), shortcut=None if kind == "skipinit" else Fixed(options["skip"]))
