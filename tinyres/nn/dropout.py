"""Dropout as modules; the functions are in `tinyres.nn.functional`."""

from __future__ import annotations

from typing import Any

from tinyres.arrays.random import rng_of
from tinyres.nn.init import Rng
from tinyres.nn.module import Module
from tinyres.ops.dropout import dropout, dropout1d, dropout2d


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p is a probability and must be in [0, 1], got {p}")
        self.p = p
        self.rng = rng_of(rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """Set each entry to 0 with probability p, and divide the others by 1 - p; in evaluation y = x.

    Srivastava et al. 2014 [srivastava2014dropout], "Dropout: a simple way to prevent neural networks from overfitting",
    in the inverted form, whose evaluation needs no scaling.

    Args:
        p: the probability of a zero, in [0, 1].
        inplace: for PyTorch's sake; tensors are values, so it changes nothing.
        rng: a generator or a seed. Each call in training draws from it on the CPU, and moves the mask to x, so that the
            same entries are dropped on every device.
    """

    def forward(self, x: Any) -> Any:
        return dropout(x, self.p, self.training, rng=self.rng)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of signals (N, C, L) or (C, L)."""

    def forward(self, x: Any) -> Any:
        return dropout1d(x, self.p, self.training, rng=self.rng)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of images (N, C, H, W) or (C, H, W)."""

    def forward(self, x: Any) -> Any:
        return dropout2d(x, self.p, self.training, rng=self.rng)


__all__ = ["Dropout", "Dropout1d", "Dropout2d"]
