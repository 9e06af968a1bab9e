"""Normalisation of channels: over the batch, over groups of channels, over each channel of each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import ops
from tinyres.autograd.tensor import Tensor
from tinyres.nn import functional as F
from tinyres.nn.module import Module, Parameter
from tinyres.refusals.kinds import is_number


class _Norm(Module):
    """Weights and running statistics, a number for each channel."""

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
        if not is_number(momentum) or not 0 <= momentum <= 1:
            mend = "; for PyTorch's average over all batches assign 1 / k to .momentum before batch k = 1, 2, ..."
            raise (ValueError if momentum is None or is_number(momentum) else TypeError)(
                f"{type(self).__name__}: momentum must be a number from 0 to 1, got {momentum!r:.80}"
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

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    fuses = "residual", "relu"
    _axes: tuple[str, ...] = ("", "L")  # what may follow N and C

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        if x.ndim - 2 not in map(len, self._axes) or x.shape[1] != self.num_features:
            needed = " or ".join(f"({', '.join(['N', str(self.num_features), *axes])})" for axes in self._axes)
            raise ValueError(f"{self.label()}: x must have shape {needed}, got {tuple(x.shape)}")
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


class BatchNorm1d(_BatchNorm):
    """Batch normalisation: bring each feature to mean 0 and variance 1 over the batch, then scale and shift.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Training uses mean and (biased) variance of the batch, and moves the running ones (of the unbiased variance) towards
    them, running <- (1 - momentum) running + momentum batch; evaluation uses the running ones.
    Ioffe & Szegedy 2015 [ioffe2015batch], "Batch normalization".

    Args:
        num_features: C; x has shape (N, C) or (N, C, L), where statistics are over N and L.
        affine: learn weight and bias.
        track_running_stats: keep running statistics; without them evaluation also uses those of the batch.

    Raises:
        ValueError: x has another shape, or training has only one value per feature.
    """


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W): each channel over N, H and W; otherwise as `BatchNorm1d`."""

    _axes = ("HW",)


class GroupNorm(Module):
    """Normalise each sample over groups of its channels, then scale and shift each channel.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Mean and (biased) variance are those of C / num_groups channels of one sample, in training and in evaluation; one
    group makes it a layer norm, C groups an instance norm. It does without a batch, so a critic with a gradient penalty
    may use it. Wu & He 2018 [wu2018group], "Group normalization".

    Shapes: x and y (N, C, ...), weight and bias (C,).

    Raises:
        ValueError: num_groups does not divide num_channels, or x has another number of channels.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(np.ones(num_channels, np.float32)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, np.float32)) if affine else None

    def forward(self, x: Any) -> Any:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(f"{self.label()}: x must have shape (N, {self.num_channels}, ...), got {tuple(x.shape)}")
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(_Norm):
    _axes = "HW"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, x: Any) -> Any:
        axes = len(self._axes)
        if x.ndim not in (axes + 1, axes + 2) or x.shape[-axes - 1] != self.num_features:
            shape = ", ".join([str(self.num_features), *self._axes])
            raise ValueError(f"{self.label()}: x must have shape (N, {shape}) or ({shape}), got {tuple(x.shape)}")
        batch = x if x.ndim == axes + 2 else ops.unsqueeze(x, 0)
        own = self.training or self.running_mean is None  # statistics
        y = F.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            self.momentum,
            self.eps,
        )
        return y if x.ndim == axes + 2 else ops.reshape(y, x.shape)


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each signal (N, C, L), or of one (C, L), over its entries; see `InstanceNorm2d`."""

    _axes = "L"


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image (N, C, H, W), or of one (C, H, W), over its pixels.

        y = (x - mean) / sqrt(var + eps) * weight + bias

    Mean and (biased) variance are those of one channel of one image, in training and in evaluation. As in PyTorch,
    weight and bias are only there with `affine`; with `track_running_stats` evaluation uses running statistics, the
    means over images. Ulyanov et al. 2016 [ulyanov2016instance], "Instance normalization: The missing ingredient for
    fast stylization".
    """


__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d"]
