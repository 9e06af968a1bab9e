"""Synchronised batch normalisation, over a batch that several processes share."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from tinyres import ops
from tinyres.arrays import namespace
from tinyres.autograd.calling import define
from tinyres.autograd.tensor import Array, rebind
from tinyres.context import is_replaying
from tinyres.nn.module import Module
from tinyres.nn.norm import BatchNorm1d, BatchNorm2d
from tinyres.ops.normalization import batch_norm_

M = TypeVar("M", bound=Module)


class Summing(Protocol):
    """What is needed of the group of processes; `training.Ranks` provides it."""

    rank: int
    size: int

    def sum(self, array: Array) -> Array:
        """The sum over all processes of a contiguous array, which may be written into."""
        ...


def _all_sum(x: Array, *, ranks: Summing) -> Array:
    return ranks.sum(namespace(x).array(x, order="C"))  # a copy: the sum is written into it


_all_sum_primitive = define(_all_sum)
_all_sum_primitive.vjp(x=lambda g, ranks: all_sum(g, ranks))


def all_sum(x: Any, ranks: Summing) -> Any:
    """Differentiable all-reduce: y = Σ_r x_r over the processes r, the same on each; x has the same shape everywhere.

    Every process's loss depends on y, so what is differentiated is the sum of all losses, and the rule is another
    all-reduce: dx_r = Σ_s g_s. All processes must call and differentiate it equally often and in the same order, as
    they do when they run the same model.
    """
    return _all_sum_primitive(x, ranks=ranks)


def _statistics(x: Array, ranks: Summing) -> tuple[Array, Array, float]:
    """Mean (C,) and variance (C,) of each channel over all processes' x, and the number of values per channel.

    The processes exchange their n_r, m_r and v_r, and combine them in float64 by the formula of Chan et al. 1983
    [chan1983algorithms], "Algorithms for computing the sample variance", which has no cancellation:
    mean = Σ_r n_r m_r / M,  variance = Σ_r n_r (v_r + (m_r - mean)²) / M.
    """
    channels = x.shape[1]
    table = namespace(x).zeros((ranks.size, 1 + 2 * channels))  # float64; one row per process, each fills in its own
    mine = table[ranks.rank]
    if x.size:
        _, (mean, variance) = batch_norm_.primitive.forward(
            x, None, None, None, eps=1.0, relu=False, statistics=None, running=None
        )
        mine[0], mine[1 : 1 + channels], mine[1 + channels :] = x.size // channels, mean, variance
    table = ranks.sum(table)
    counts, means, variances = table[:, :1], table[:, 1 : 1 + channels], table[:, 1 + channels :]
    count = float(counts.sum())
    if count < 2:
        raise ValueError(f"{count:g} value(s) a channel in all processes, training needs at least 2")
    mean = (counts * means).sum(0) / count
    variance = (counts * (variances + (means - mean) ** 2)).sum(0) / count
    return mean.astype(x.dtype), variance.astype(x.dtype), count


def _decomposition(x: Any, weight: Any, bias: Any, residual: Any, *, ranks: Summing, eps: float, relu: bool) -> Any:
    """The decomposition into primitives: what the fused kernels must equal, and what higher orders differentiate."""
    axes = (0, *range(2, x.ndim))
    each = (1, -1) + (1,) * (x.ndim - 2)
    count = float(ranks.sum(namespace(x.data).full(1, x.size / x.shape[1]))[0])
    centred = x - all_sum(ops.sum(x, axes, keepdims=True), ranks) / count
    variance = all_sum(ops.sum(centred * centred, axes, keepdims=True), ranks) / count
    y = centred / ops.sqrt(variance + eps)
    if weight is not None:
        y = y * ops.reshape(weight, each)
    if bias is not None:
        y = y + ops.reshape(bias, each)
    if residual is not None:
        y = y + residual
    return ops.relu(y) if relu else y


def _sync_batch_norm(
    x: Any, weight: Any, bias: Any, residual: Any, *, ranks: Summing, eps: float, relu: bool, on_statistics: Any
) -> Any:
    mean, variance, count = _statistics(x, ranks)
    given = mean, variance
    y = batch_norm_(x, weight, bias, residual, eps=eps, relu=relu, statistics=given, running=None)
    if on_statistics is not None:
        on_statistics(mean, variance, count)
    return y, (*given, count)


def _joint(
    g: Any, x: Any, weight: Any, bias: Any, residual: Any, y: Any, aux: Any, ranks: Summing, eps: float, relu: bool
) -> Any:
    """The rule, with h = (x - mean) / sqrt(variance + eps) and sums over all processes:

        dx = weight / sqrt(variance + eps) (g - Σ g / M - h Σ g h / M)

    The first term is the rule for constant statistics. The other two are affine in x, so they are computed as another
    batch norm of x, with its own weight and bias, to which the first term is added as the residual.
    """
    mean, variance, count = aux
    given = mean, variance
    fixed, dweight, dbias, dresidual = batch_norm_.primitive.joint(
        g, x, weight, bias, residual, y, given, eps, relu, statistics=given
    )
    total = ranks.sum(namespace(x).stack([dweight, dbias]))  # (2, C)
    total *= (1 if weight is None else weight) / (-count * (variance + eps) ** 0.5)
    dx = batch_norm_(x, total[0], total[1], fixed, eps=eps, relu=False, statistics=given, running=None)
    return dx, dweight, dbias, dresidual


sync_batch_norm_ = define(_sync_batch_norm, aux=True, decomposition=_decomposition)
sync_batch_norm_.vjp_joint(_joint)


class _SyncBatchNorm(BatchNorm1d):
    fuses = "residual", "relu"
    ranks: Summing

    def forward(self, x: Any, residual: Any = None, relu: bool = False) -> Any:
        if not self.training or x.ndim - 2 not in map(len, self._axes) or x.shape[1] != self.num_features:
            return super().forward(x, residual, relu)  # which refuses the wrong shape
        track = None if is_replaying() else self._track
        try:
            y = sync_batch_norm_(
                x, self.weight, self.bias, residual, ranks=self.ranks, eps=self.eps, relu=relu, on_statistics=track
            )
        except ValueError as error:
            raise ValueError(f"{self.label()}: {error}") from error
        if residual is not None and getattr(y, "node", None) is not None:
            y.node.roles = ("branch", None, None, "skip")
        return y

    def _track(self, mean: Array, variance: Array, count: float) -> None:
        for running, new in ((self.running_mean, mean), (self.running_var, variance * (count / (count - 1)))):
            if running is not None:
                rebind(running, (1 - self.momentum) * running.data + self.momentum * new)
        if self.num_batches_tracked is not None:
            number = self.num_batches_tracked.data
            rebind(self.num_batches_tracked, namespace(number).asarray(number + 1))


class SyncBatchNorm1d(_SyncBatchNorm):
    """`BatchNorm1d` over the batches of all processes; made by `synchronise`.

        mean = Σ_r Σ_i x_ri / M,   var = Σ_r Σ_i (x_ri - mean)² / M,   M values a channel in all processes r together

    One exchange forward and one backward; the gradient is that of the sum of the processes' losses.
    Peng et al. 2018 [peng2018megdet], "MegDet: a large mini-batch object detector", section 3.3.
    """


class SyncBatchNorm2d(_SyncBatchNorm):
    """The same for images: every channel over N, H and W of all processes."""

    _axes = ("HW",)


KINDS: dict[type[Module], type[_SyncBatchNorm]] = {BatchNorm1d: SyncBatchNorm1d, BatchNorm2d: SyncBatchNorm2d}


def synchronise(model: M, ranks: Summing) -> M:
    """Let every batch norm of the model compute its statistics over all processes; changes and returns the model.

    The modules stay the same objects, with the same parameters and names, so an optimiser continues, and saved weights
    fit either kind. Subclasses of BatchNorm1d and BatchNorm2d are not changed.
    """
    for module in model.modules():
        kind = KINDS.get(type(module))
        if kind is not None:
            module.__class__ = kind
            object.__setattr__(module, "ranks", ranks)
    return model


__all__ = ["SyncBatchNorm1d", "SyncBatchNorm2d", "all_sum", "synchronise"]
