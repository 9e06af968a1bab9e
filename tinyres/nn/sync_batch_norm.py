"""Batch normalisation over a batch that several processes share."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import numpy as np

from tinyres import ops
from tinyres.autograd.primitive import Primitive
from tinyres.backend import namespace
from tinyres.context import is_replaying
from tinyres.nn.module import Module
from tinyres.nn.norm import BatchNorm1d, BatchNorm2d
from tinyres.tensor import Array, raw

M = TypeVar("M", bound=Module)


class Summing(Protocol):
    """What it takes of the processes: `training.Ranks` has it."""

    def sum(self, array: Array) -> Array:
        """The sum over all processes of a contiguous array, which may be written into."""
        ...


def _all_sum(x: Array, *, ranks: Summing) -> Array:
    return ranks.sum(namespace(x).array(x, order="C"))  # a copy: the sum is written into it


_primitive = Primitive(_all_sum)
_primitive.vjp(x=lambda g, ranks: all_sum(g, ranks))


def all_sum(x: Any, ranks: Summing) -> Any:
    """y = Σ_r x_r over the processes r, the same on each; x has the same shape everywhere.

    Every process's loss depends on every y, so what is differentiated is the sum of all losses, and the rule is the
    operation itself: dx_r = Σ_s g_s. Each process must call it, and differentiate it, the same number of times and in
    the same order, as they do when they run the same model.
    """
    return _primitive(x, ranks=ranks)


class _SyncBatchNorm(BatchNorm1d):
    takes_along = "residual", "relu"
    ranks: Summing

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        if not self.training or x.ndim != 2 + len(self._axes) or x.shape[1] != self.num_features:
            return super().forward(x, residual, relu)  # which refuses the wrong shape
        axes = (0, *range(2, x.ndim))
        count = float(self.ranks.sum(np.array(x.size / self.num_features)))  # M, of all processes
        if count < 2:
            raise ValueError(f"{self.label()}: {count:g} value a channel in all processes, training needs at least 2")
        centre = all_sum(ops.sum(x, axes, keepdims=True), self.ranks) / count  # (1, C, 1, 1)
        centred = x - centre
        variance = all_sum(ops.sum(centred * centred, axes, keepdims=True), self.ranks) / count  # (1, C, 1, 1)
        scale = 1 / ops.sqrt(variance + self.eps)  # (1, C, 1, 1): small, so that x is passed over less often
        if self.weight is not None:
            scale = scale * ops.reshape(self.weight, centre.shape)
        y = centred * scale
        if self.bias is not None:
            y = y + ops.reshape(self.bias, centre.shape)
        if residual is not None:
            y = y + residual
            if getattr(y, "node", None) is not None:
                y.node.roles = ("branch", "skip")
        if not is_replaying():
            self._track(raw(centre).reshape(-1), raw(variance).reshape(-1) * (count / (count - 1)))
        return ops.relu(y) if relu else y

    def _track(self, centre: Array, variance: Array) -> None:
        for running, new in ((self.running_mean, centre), (self.running_var, variance)):
            if running is not None:
                running.data = (1 - self.momentum) * running.data + self.momentum * new
        if self.num_batches_tracked is not None:
            count = self.num_batches_tracked.data
            self.num_batches_tracked.data = namespace(count).asarray(count + 1)


class SyncBatchNorm1d(_SyncBatchNorm):
    """`BatchNorm1d` whose batch is that of all processes; made by `synchronise`.

        mean = Σ_r Σ_i x_ri / M,   var = Σ_r Σ_i (x_ri - mean)² / M,   M values a channel in all processes r together

    Two sums over the processes forward and two backward; the gradient is that of the sum of the processes' losses.
    Composed of single operations, it takes several passes over memory where `BatchNorm1d` takes one.
    Peng et al. 2018, "MegDet: a large mini-batch object detector", section 3.3.
    """


class SyncBatchNorm2d(_SyncBatchNorm):
    """The same for images: every channel over N, H and W of all processes."""

    _axes = "HW"


KINDS: dict[type[Module], type[_SyncBatchNorm]] = {BatchNorm1d: SyncBatchNorm1d, BatchNorm2d: SyncBatchNorm2d}


def synchronise(model: M, ranks: Summing) -> M:
    """Let every batch norm of the model take its statistics over all processes; gives the model back, changed.

    The modules stay the same objects with the same parameters and names: an optimiser goes on, and a file that was
    saved with either kind fits both. What only descends from BatchNorm1d or BatchNorm2d is left as it is.
    """
    for module in model.modules():
        kind = KINDS.get(type(module))
        if kind is not None:
            module.__class__ = kind
            object.__setattr__(module, "ranks", ranks)
    return model


__all__ = ["SyncBatchNorm1d", "SyncBatchNorm2d", "all_sum", "synchronise"]
