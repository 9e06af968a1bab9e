"""Residual nets with the five places for a layer norm, of the library's own modules, and what is random about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.arrays import to_device
from tinyres.flow.theory.stream import OPEN, deepnorm_scales
from tinyres.lab.depth import states

WIDTH, BATCH, NETS = 256, 16, 16
GROUP = 8  # nets that share their Gaussian numbers, up to signs


class Matrix(nn.Module):
    """y = scale x W with a given W."""

    def __init__(self, w: Any, scale: float = 1.0) -> None:
        self.weight, self.scale = nn.Parameter(w), scale

    def forward(self, x: Any) -> Any:
        return self.scale * (x @ self.weight)


class Times(nn.Module):
    """y = scale x; nothing is learned."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def forward(self, x: Any) -> Any:
        return self.scale * x


def layer_norm(width: int) -> nn.Module:
    """Without weight and bias."""
    return nn.LayerNorm(width, elementwise_affine=False)


def block(norm: str, l: int, depth: int, w1: Any, w2: Any, s: float = 1.0) -> nn.Module:
    """Block l of `depth`; its branch is s W2 relu(W1 x)."""
    width = len(w1)
    a, b = deepnorm_scales(depth) if norm == "deep" else (1.0, 1.0)
    body = [Matrix(b * w1), nn.ReLU(), Matrix(b * w2, s)]
    if norm == "pre":
        return nn.Residual(nn.Sequential(layer_norm(width), *body))
    if norm == "post":
        return nn.Sequential(nn.Residual(nn.Sequential(*body)), layer_norm(width))
    if norm == "peri":
        return nn.Residual(nn.Sequential(layer_norm(width), *body, layer_norm(width)))
    if norm == "lns":
        return nn.Residual(nn.Sequential(layer_norm(width), Times(l**-0.5), *body))
    if norm == "deep":
        return nn.Sequential(nn.Residual(nn.Sequential(*body), shortcut=Times(a)), layer_norm(width))
    raise ValueError(f"block: norm is 'pre', 'post', 'peri', 'lns' or 'deep', got {norm!r}")


def net(norm: str, weights: Any, s: float = 1.0) -> nn.Sequential:
    """A block for each pair of weights (depth, 2, n, n), and one more layer norm where the stream has none."""
    depth, _, width, _ = weights.shape
    blocks = [block(norm, l, depth, w1, w2, s) for l, (w1, w2) in enumerate(weights, 1)]
    return nn.Sequential(*blocks, *([layer_norm(width)] if norm in OPEN else []))


def last_matrices(model: nn.Sequential) -> list[nn.Parameter]:
    """W2 of each block."""
    return [module.weight for module in model.modules() if isinstance(module, Matrix)][1::2]


@dataclass(frozen=True)
class Draw:
    """What is random about one net: inputs and cotangents (batch, n), W1 ~ N(0, 2/n) and W2 ~ N(0, 1/n)."""

    x: Any
    g: Any
    weights: Any  # (depth, 2, n, n)

    @classmethod
    def some(
        cls, seed: tuple[int, ...], nets: int, depth: int, width: int = WIDTH, batch: int = BATCH, device: str = "cpu"
    ) -> Iterator[Draw]:
        """`nets` of them. GROUP nets share their Gaussian matrices, each with random signs of its rows and columns.

        S W T with diagonal matrices of random signs is as Gaussian as W; to draw W anew would take most of the time.
        """
        for k in range(nets):
            if k % GROUP == 0:
                rng = np.random.default_rng((*seed, k // GROUP))
                shared = rng.standard_normal((depth, 2, width, width))
                shared *= np.sqrt(np.array([2, 1]) / width)[:, None, None]
            x, g = rng.standard_normal((2, batch, width))
            rows, columns = rng.choice([-1.0, 1.0], (2, depth, 2, width))
            drawn = (x, g, shared * rows[..., None] * columns[..., None, :])
            yield cls(*(to_device(array, device) for array in drawn))


__all__ = ["BATCH", "NETS", "WIDTH", "Draw", "Matrix", "Times", "block", "last_matrices", "layer_norm", "net", "states"]
