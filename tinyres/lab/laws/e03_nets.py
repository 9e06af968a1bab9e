"""The nets of E3, of the library's own layers, and what is random about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyres import nn
from tinyres.lab.depth import states

ROWS = 4  # inputs, each with a cotangent of its own, that a net is asked about
GROUP = 10  # nets that share their Gaussian numbers, up to signs


@dataclass(frozen=True)
class Shape:
    """How large the nets are, and how many are averaged."""

    width: int = 256
    depth: int = 10
    nets: int = 100


class Net:
    """Blocks m x + a F(x), F(x) = W2 relu(W1 x), of the library's layers; in float64, to be filled with weights."""

    def __init__(self, width: int, depth: int, *, ends_in_relu: bool = False) -> None:
        self.linear = [nn.Linear(width, width, bias=False, rng=0) for _ in range(2 * depth)]
        self.shortcut, self.branch = nn.Scale(), nn.Scale()  # in all blocks the same two
        self.fuller = 2**0.5 if ends_in_relu else 1.0  # makes up for the half that the last ReLU takes
        last = [nn.ReLU()] if ends_in_relu else []
        blocks = [
            nn.Residual(nn.Sequential(one, nn.ReLU(), two, *last, self.branch), shortcut=self.shortcut)
            for one, two in zip(self.linear[::2], self.linear[1::2], strict=True)
        ]
        self.blocks = nn.Sequential(*blocks).to("float64")

    def fill(self, weights: Any, m: Any, a: Any) -> None:
        """Take weights, (depth, 2, width, width), and the scales: numbers, or columns with an entry for each input."""
        for linear, w in zip(self.linear, weights.reshape(-1, *weights.shape[2:]), strict=True):
            linear.weight.data = w
        self.shortcut.weight.data = np.asarray(m, float)
        self.branch.weight.data = np.asarray(a, float) * self.fuller

    def states(self, x: Any) -> list[Any]:
        """What comes out of 0, 1, ..., depth blocks."""
        return states(self.blocks, x)


@dataclass(frozen=True)
class Draw:
    """What is random about one net: inputs and cotangents (ROWS, width), and W1 ~ N(0, 2/n), W2 ~ N(0, 1/n)."""

    x: Any
    g: Any
    weights: Any  # (depth, 2, width, width)

    @classmethod
    def of(cls, seed: tuple[int, ...], shape: Shape) -> Draw:
        """One net."""
        return next(cls.some(seed, shape))

    @classmethod
    def some(cls, seed: tuple[int, ...], shape: Shape) -> Iterator[Draw]:
        """GROUP nets. To draw every matrix anew would take most of the time: they are S W T with W Gaussian and shared.

        S and T are diagonal matrices of a net's own random signs. S W T is Gaussian again: each net is exactly a net as
        it should be, and two of a group are as little alike as two random directions.
        """
        rng, n = np.random.default_rng(seed), shape.width
        shared = rng.standard_normal((shape.depth, 2, n, n)) * np.sqrt(np.array([2, 1]) / n)[:, None, None]
        for _ in range(GROUP):
            x, g = rng.standard_normal((2, ROWS, n))
            s, t = rng.choice([-1.0, 1.0], (2, shape.depth, 2, n))
            yield cls(x, g, shared * s[..., None] * t[..., None, :])
