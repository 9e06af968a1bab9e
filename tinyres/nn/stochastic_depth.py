"""Stochastic depth: a residual connection whose branch is skipped at random."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.arrays.random import rng_of
from tinyres.autograd.checkpoint import note_draw
from tinyres.nn.fused import fused_add_relu
from tinyres.nn.init import Rng
from tinyres.nn.module import Module
from tinyres.nn.residual import Residual, given


class StochasticDepth(Residual):
    """y = b branch(x) + shortcut(x), b = 1 with probability `survival`, else 0; in evaluation b = `survival`.

    b is drawn once per call, for the whole mini-batch. A skipped branch is not computed: it costs no time, its batch
    norms see no data, and its parameters get no gradient. Huang et al. 2016 [huang2016deep], "Deep networks with
    stochastic depth".

    Args:
        branch, shortcut: as in `Residual`.
        survival: the probability that the branch is used, in [0, 1].
        rng: a generator or a seed. Each call in training draws from it, on the CPU.

    Raises:
        TypeError: a second module comes without its name, as in `Residual`.
        ValueError: survival is not in [0, 1], or branch and shortcut give different shapes.
    """

    fuses = ("relu",)

    def __init__(
        self, branch: Module, *others: Any, shortcut: Module | None = None, survival: float = 0.5, rng: Rng = None
    ) -> None:
        if not 0 <= survival <= 1:
            raise ValueError(f"StochasticDepth: survival is a probability and must be in [0, 1], got {survival}")
        super().__init__(branch, *others, shortcut=shortcut)
        self.survival = survival
        self.rng = rng_of(rng)

    def forward(self, x: Any, relu: bool = False, **options: Any) -> Any:
        skip = x if self.shortcut is None else self.shortcut(x)
        branch = given(self.branch, options)
        if not self.training:
            return fused_add_relu(_Weighted(branch, self.survival), x, residual=skip, relu=relu)
        if self._survives():
            return fused_add_relu(branch, x, residual=skip, relu=relu)
        return ops.relu(skip) if relu else skip

    def _survives(self) -> bool:
        if self.survival in (0, 1):  # nothing to draw
            return self.survival == 1
        note_draw(self.rng)
        return float(self.rng.random()) < self.survival

    def extra_repr(self) -> str:
        return f"survival={self.survival:.4g}"


class _Weighted(Module):
    """weight * branch(x). It has no name of its own, so the branch keeps its path."""

    def __init__(self, branch: Module, weight: float) -> None:
        self.branch, self.weight = branch, weight

    def forward(self, x: Any) -> Any:
        return self.branch(x) * self.weight


__all__ = ["StochasticDepth"]
