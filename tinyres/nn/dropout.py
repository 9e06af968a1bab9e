"""Dropout."""

from __future__ import annotations

from typing import Any

from tinyres import ops
from tinyres.arrays import device_of, to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.checkpoint import note_draw
from tinyres.autograd.tensor import raw, wrap
from tinyres.nn.init import Rng
from tinyres.nn.module import Module


class Dropout(Module):
    """Set each entry to 0 with probability p, and divide the others by 1 - p; in evaluation y = x.

    Srivastava et al. 2014 [srivastava2014dropout], "Dropout: a simple way to prevent neural networks from overfitting",
    in the inverted form, whose evaluation needs no scaling.

    Args:
        p: the probability of a zero, in [0, 1].
        rng: a generator or a seed. Each call in training draws from it on the CPU, and moves the mask to x, so that the
            same entries are dropped on every device.
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability and must be in [0, 1], got {p}")
        self.p = p
        self.rng = rng_of(rng)

    def forward(self, x: Any) -> Any:
        if not self.training or self.p == 0:
            return x
        note_draw(self.rng)
        if x.ndim == 4:  # drawn in the order of an image's memory, so that the product keeps its layout
            n, c, h, w = x.shape
            keep = (self.rng.random((n, h, w, c)) >= self.p).transpose(0, 3, 1, 2)
        else:
            keep = self.rng.random(x.shape) >= self.p
        keep = to_device(keep, device_of(raw(x)))
        # `where` and not a product with the mask, which would turn an infinite entry that is dropped into NaN.
        kept = ops.where(wrap(keep), x, 0.0)
        return kept if self.p == 1 else kept * (1 / (1 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"


__all__ = ["Dropout"]
