"""The gradient noise scale: the batch size beyond which a larger batch helps little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.arrays import namespace, to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import Array, Tensor
from tinyres.context import context
from tinyres.data import Dataset
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement


def gradient_noise_scale(
    model: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    dataset: Dataset | tuple[Any, Any],
    *,
    small: int = 8,
    big: int = 128,
    batches: int = 8,
    rng: np.random.Generator | int = 0,
) -> Measurement:
    """B = tr(Sigma) / |G|^2: the batch size at which the gradient's noise and signal are equally large.

    Sigma is the covariance of one sample's gradient and G its mean. Both are estimated without bias from |G_b|^2 of
    small batches and |G_B|^2 of the big batches that they make up:

        |G|^2 = (B |G_B|^2 - b |G_b|^2) / (B - b),    tr(Sigma) = (|G_b|^2 - |G_B|^2) / (1/b - 1/B)

    McCandlish et al. 2018 [mccandlish2018empirical], "An empirical model of large-batch training", appendix A.1. The
    data are treated as a sample of their distribution, and big batches draw from them without replacement until they
    run out. In training mode batch norm couples the samples of a small batch; the figures are then those of training at
    that batch size.

    Args:
        model: left unchanged, `.grad` and running statistics included.
        loss: loss(model(x), target), a mean over the samples.
        dataset: a Dataset, or (x, target) as arrays.
        small, big: b and B, in samples; b divides B.
        batches: how many big batches.
        rng: generator or seed for the order of the samples.

    Returns:
        noise_scale, in samples: infinite if the estimate of |G|^2 is 0 or below, which means that the batches cannot
        tell G from 0; noise tr(Sigma) and signal |G|^2 with noise_error and signal_error, one standard error over the
        big batches (NaN for a single one); and small_square, big_square (batch,), the squares they are estimated from.

    Raises:
        ValueError: small does not divide big, the data have fewer than big samples, or the loss is not one number.
    """
    inputs, targets = (dataset.inputs, dataset.targets) if isinstance(dataset, Dataset) else map(np.asarray, dataset)
    if not 1 <= small < big or big % small or batches < 1:
        raise ValueError(
            "gradient_noise_scale: big must be a larger multiple of small, and batches at least 1; "
            f"got small={small}, big={big}, batches={batches}"
        )
    if big > len(inputs) or len(inputs) != len(targets):
        raise ValueError(
            f"gradient_noise_scale: big={big} needs at least that many samples, with a target each, got {len(inputs)} "
            f"inputs and {len(targets)} targets; lower big"
        )
    rng = rng_of(rng)
    parameters = [p for p in model.parameters() if p.requires_grad]
    order: list[int] = []
    squares = np.empty((batches, 2))
    for k in range(batches):
        if len(order) < big:
            order = rng.permutation(len(inputs)).tolist()
        chosen, order = np.array(order[:big]).reshape(-1, small), order[big:]
        parts = [_gradient(model, loss, parameters, inputs[part], targets[part]) for part in chosen]
        mean = sum(parts) / len(parts)
        squares[k] = np.mean([part @ part for part in parts]), mean @ mean
    signals = (big * squares[:, 1] - small * squares[:, 0]) / (big - small)
    noises = (squares[:, 0] - squares[:, 1]) / (1 / small - 1 / big)
    signal, noise = signals.mean(), noises.mean()
    found = {
        "noise_scale": noise / signal if not signal <= 0 else np.inf,
        "noise": noise,
        "signal": signal,
        "noise_error": _standard_error(noises),
        "signal_error": _standard_error(signals),
        "small_square": squares[:, 0],
        "big_square": squares[:, 1],
    }
    arrays = {name: np.asarray(value) for name, value in found.items()}
    axes: dict[str, tuple[str, ...]] = {name: ("batch",) * value.ndim for name, value in arrays.items()}
    cost = f"{batches * (big // small)} forward and backward passes of {small} samples"
    return Measurement("gradient noise scale", arrays, axes, cost, lambda figure, m: _draw(figure, m, small, big))


def _gradient(model: nn.Module, loss: Any, parameters: list[nn.Parameter], x: Array, target: Array) -> Array:
    with context(replaying=True, recording=True):
        device = next((p.device for p in parameters), "cpu")
        value = loss(model(tr.tensor(x).to(device)), to_device(target, device))
        if value.size != 1:
            raise ValueError(f"gradient_noise_scale: the loss must be one number, got shape {value.shape}; take a mean")
        found = tr.grad(value, parameters, allow_unused=True)
    parts = [g.data.reshape(-1) for g in found if g is not None]
    return to_device(namespace(*parts).concatenate(parts), "cpu").astype("float64")  # in one copy


def _standard_error(values: Array) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _draw(figure: Any, found: Measurement, small: int, big: int) -> None:
    axes = figure.subplots()
    signal, noise, scale = (float(found[name]) for name in ("signal", "noise", "noise_scale"))
    largest = max(big, scale) if np.isfinite(scale) else big
    sizes = np.geomspace(1, 10 * largest, 200)
    axes.loglog(sizes, signal + noise / sizes, color="black", label="|G|² + tr Σ / batch size")
    axes.loglog(sizes, noise / sizes, "--", color=palette.CASES[1], label="tr Σ / batch size: noise")
    if signal > 0:
        axes.axhline(signal, ls="--", color=palette.CASES[2], label="|G|²: signal")
        axes.axvline(scale, color=palette.FAINT, lw=0.8)
    for size, name in ((small, "small_square"), (big, "big_square")):
        axes.plot(np.full(len(found[name]), size), found[name], "o", ms=4, alpha=0.6, color=palette.CASES[0])
        axes.plot(size, found[name].mean(), "D", color=palette.CASES[0], label=f"measured, batches of {size}")
    axes.set(xlabel="batch size", ylabel="squared norm of the gradient", title=f"noise scale: {scale:.3g} samples")
    axes.legend()
