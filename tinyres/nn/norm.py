"""Batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.autograd.tensor import Tensor
from tinyres.nn.module import Module, Parameter


class _BatchNorm(Module):
    fuses = "residual", "relu"
    _axes = ""  # of x after N and C
    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        if momentum is None or not 0 <= momentum <= 1:
            mend = "; for PyTorch's average over all batches assign 1 / k to .momentum before batch k = 1, 2, ..."
            raise ValueError(
                f"{type(self).__name__}: momentum must be a number from 0 to 1, got {momentum}"
                + (mend if momentum is None else "")
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_features, np.float32)) if affine else None
        track = track_running_stats
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, np.float32)) if track else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, np.float32)) if track else None)
        self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64)) if track else None)

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        if x.ndim != 2 + len(self._axes) or x.shape[1] != self.num_features:
            needed = ", ".join(["N", str(self.num_features), *self._axes])
            raise ValueError(f"{self.label()}: x must have shape ({needed}), got {tuple(x.shape)}")
        y = ops.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            self.momentum,
            self.eps,
            residual=residual,
            relu=relu,
            num_batches_tracked=self.num_batches_tracked,
        )
        if residual is not None and getattr(y, "node", None) is not None:
            y.node.roles = ("branch", None, None, "skip")
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation: bring each feature to mean 0 and variance 1 over the batch, then scale and shift.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Training uses mean and (biased) variance of the batch, and moves the running ones (of the unbiased variance) towards
    them, running <- (1 - momentum) running + momentum batch; evaluation uses the running ones.
    Ioffe & Szegedy 2015 [ioffe2015batch], "Batch normalization".

    Args:
        num_features: C; x has shape (N, C).
        affine: learn weight and bias.
        track_running_stats: keep running statistics; without them evaluation also uses those of the batch.

    Raises:
        ValueError: x has another shape, or training has only one value per feature.
    """


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W): each channel over N, H and W; otherwise as `BatchNorm1d`."""

    _axes = "HW"


__all__ = ["BatchNorm1d", "BatchNorm2d"]
