"""What is added to a discriminator's loss, or done to its weights, to bound its slope.

A penalty is called `(discriminator, real, fake, rng)` and is one number without its weight: the loss is
`loss.discriminator(...) + penalty_weight * penalty`. It differentiates D with respect to *samples* and is then
differentiated with respect to D's weights, so it needs gradients of gradients. All of them ask for the gradient of
sum_i D(x_i) and take its i-th row for the gradient of D(x_i), which no batch norm allows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinyres import nn
from tinyres.arrays import device_of, namespace, to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd import grad
from tinyres.autograd.tensor import Array, Tensor, raw, rebind
from tinyres.nn.init import Rng
from tinyres.ops import mean, relu, sqrt, sum, where

Discriminator = Callable[[Any], Any]
Penalty = Callable[[Discriminator, Any, Any, Any], Any]


def gradient_penalty(discriminator: Discriminator, real: Any, fake: Any, rng: Rng, *, one_sided: bool = False) -> Any:
    """mean (|grad D(x)| - 1)², x = e real + (1 - e) fake, e ~ U(0, 1) for each pair: WGAN-GP, whose weight is 10.

    Between real samples and fakes the best critic's slope is 1; the penalty asks for it there. At a finite weight it is
    not reached: a linear critic between two points `delta` apart ends at slope 1 + delta / (2 weight).
    Gulrajani et al. 2017 [gulrajani2017improved], "Improved training of Wasserstein GANs", equation 3.

    Args:
        discriminator: from samples (N, ...) to scores (N, 1), each of its own sample only.
        real, fake: samples of one shape (N, ...), tensors or arrays; both count as constants.
        rng: a generator, whose next numbers are drawn, or a seed.
        one_sided: max(0, |grad D| - 1)²: a slope below 1 costs nothing (the paper's section 4).

    Raises:
        ValueError: the shapes differ, or the discriminator holds a batch norm.
    """
    real, fake = raw(real), raw(fake)
    if real.shape != fake.shape:
        raise ValueError(
            f"gradient_penalty: it interpolates between pairs, so real and fake must have the same shape, got "
            f"{tuple(real.shape)} and {tuple(fake.shape)}; draw as many fakes as there are real samples, of their size"
        )
    e = _drawn(rng_of(rng).random((len(real),) + (1,) * (real.ndim - 1)), real)
    return _to_one(discriminator, e * real + (1 - e) * fake, one_sided)


def dragan(discriminator: Discriminator, real: Any, fake: Any, rng: Rng, *, scale: float = 0.5) -> Any:
    """mean (|grad D(x)| - 1)², x = real + scale std(real) n, n ~ N(0, 1): a slope of 1 around the data only.

    The fakes do not matter. The paper's noise is N(0, c), with c to be tuned; the authors' code takes half the batch's
    standard deviation for its size, and so does this. Its weight is 10. Kodali et al. 2017 [kodali2017convergence], "On
    convergence and stability of GANs", equation 4.

    Args:
        scale: of the noise, in standard deviations of the batch.
    """
    real = raw(real)
    size = scale * namespace(real).std(real)
    return _to_one(discriminator, real + size * _drawn(rng_of(rng).standard_normal(real.shape), real))


def r1(discriminator: Discriminator, real: Any, fake: Any, rng: Rng) -> Any:
    """mean |grad D(real)|² / 2: on the data the discriminator should be flat; its weight is gamma.

    Where the fakes equal the data a discriminator that still pulls only makes both players circle; this damps it, and
    proves local convergence. Neither fakes nor draws are used. Mescheder et al. 2018 [mescheder2018which], "Which
    training methods for GANs do actually converge?", equation 9.
    """
    return mean(_squared_slopes(discriminator, raw(real))) / 2


def r2(discriminator: Discriminator, real: Any, fake: Any, rng: Rng) -> Any:
    """mean |grad D(fake)|² / 2: flat on the fakes instead. Mescheder et al. 2018 [mescheder2018which], section 4.1."""
    return mean(_squared_slopes(discriminator, raw(fake))) / 2


def r1_r2(discriminator: Discriminator, real: Any, fake: Any, rng: Rng) -> Any:
    """R1 + R2, in one pass through D: R3GAN's, with weight gamma. Data and fakes need not be of one number.

    At the start, when fakes are far from the data, R1 leaves D free to be as steep on them as it likes; with R2 its
    slope is bounded on both sides. Huang et al. 2024 [huang2024gan].
    """
    real, fake = raw(real), raw(fake)
    squared = _squared_slopes(discriminator, namespace(real).concatenate([real, fake]))
    return mean(squared[: len(real)]) / 2 + mean(squared[len(real) :]) / 2


PENALTIES: dict[str, Penalty] = {"gp": gradient_penalty, "r1": r1, "r2": r2, "r1r2": r1_r2, "dragan": dragan}


def clip_weights_(discriminator: nn.Module, c: float) -> None:
    """Limit every parameter to [-c, c], after each of the discriminator's steps; 0.01 in the paper.

    It bounds the slope, but a critic that wants a slope of 1 from weights in a box ends with them at +-c, and the
    gradient grows or shrinks by a factor between c sqrt(n/2) and c n/2 in every ReLU layer of width n. Arjovsky et al.
    2017 [arjovsky2017wasserstein], "Wasserstein GAN", algorithm 1.

    Raises:
        ValueError: c is not positive.
    """
    if not c > 0:
        raise ValueError(f"clip_weights_: c must be positive, got {c}; the paper's is 0.01")
    for p in discriminator.parameters():
        rebind(p, namespace(p.data).clip(p.data, -c, c))


def refuse_batch_norm(discriminator: Discriminator) -> None:
    """Raise if batch norm stands anywhere in the discriminator.

    With it D(x_i) depends on the whole batch, and row i of the gradient of sum_j D(x_j) is the slope of no function of
    x_i: the penalty would bound something else than the slope that it is for (Gulrajani et al. 2017
    [gulrajani2017improved], section 4).

    Raises:
        ValueError: it does; where, and what to take instead.
    """
    for name, module in discriminator.named_modules() if isinstance(discriminator, nn.Module) else ():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            raise ValueError(
                f"gradient penalty: the discriminator has a {type(module).__name__} at {name or 'its root'!r}. Batch "
                "norm makes each score depend on the whole batch, so a slope per sample, which the penalty bounds, "
                "does not exist; make the discriminator with norm='layer' or norm='none'"
            )


def _to_one(discriminator: Discriminator, x: Array, one_sided: bool = False) -> Any:
    squared = _squared_slopes(discriminator, x)  # (N,)
    flat = squared == 0
    # sqrt has no slope at 0: a sample where D is flat counts as 0 and moves nothing, instead of making a NaN.
    excess = where(flat, 0.0, sqrt(where(flat, 1.0, squared))) - 1
    return mean((relu(excess) if one_sided else excess) ** 2)


def _squared_slopes(discriminator: Discriminator, x: Array) -> Any:
    """|dD(x_i)/dx_i|² for every sample, (N,), differentiable with respect to D's weights."""
    refuse_batch_norm(discriminator)
    leaf = Tensor(x, requires_grad=True)
    (slope,) = grad(sum(discriminator(leaf)), leaf, create_graph=True)
    return sum(slope * slope, axis=tuple(range(1, x.ndim)))


def _drawn(values: Any, like: Array) -> Array:
    return to_device(values.astype(like.dtype), device_of(like))


__all__ = [
    "PENALTIES",
    "Penalty",
    "clip_weights_",
    "dragan",
    "gradient_penalty",
    "r1",
    "r1_r2",
    "r2",
    "refuse_batch_norm",
]
