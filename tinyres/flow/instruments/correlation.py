"""Shattered gradients: the correlation between the input gradients of different samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.arrays import to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.tensor import raw
from tinyres.context import context
from tinyres.figures import palette
from tinyres.flow.measurement import Measurement


def gradient_correlation(
    model: Callable[[Any], Any], x: Any, grad_output: Any = None, *, rng: np.random.Generator | int = 0
) -> Measurement:
    """Cosines between the input gradients of the samples in a batch, for one cotangent u of every sample's output.

        g_i = d<u, f(x)_i> / dx_i,    C_ij = <g_i, g_j> / (|g_i| |g_j|)

    In a plain net of L ReLU layers with normalised statistics C falls as 2^-L: as a function of the input, the gradient
    looks like white noise. Balduzzi et al. 2017 [balduzzi2017shattered], "The shattered gradients problem". The model
    runs in its current mode and is left unchanged. In training mode batch norm couples the samples: g_i is then the
    gradient of the sum over all samples, from which batch norm removes the mean over the batch.

    Args:
        model: from (N, ...) to (N, ...), N >= 2.
        x: tensor or array (N, ...).
        grad_output: u, with the shape of one sample's output; default: Gaussian.
        rng: generator or seed that u is drawn from.

    Returns:
        correlation (N, N); mean_correlation, over all pairs; pooled_correlation, the mean of <g_i, g_j> over pairs
        divided by the mean |g_i|^2, which large gradients dominate; gradient_norm (N,).

    Raises:
        ValueError: fewer than two samples, a grad_output of another shape, or an output without one entry per sample.
    """
    values = tr.tensor(x, requires_grad=True)
    if values.ndim < 1 or len(values) < 2:
        raise ValueError(f"gradient_correlation: x needs at least two samples along axis 0, got shape {values.shape}")
    samples = len(values)
    with context(replaying=True, recording=True):  # leaves running statistics alone
        y = model(values)
    if y.shape[:1] != (samples,):
        raise ValueError(f"gradient_correlation: {samples} samples gave shape {y.shape}; axis 0 must count the samples")
    u = (
        rng_of(rng).standard_normal(y.shape[1:])
        if grad_output is None
        else np.asarray(to_device(raw(grad_output), "cpu"))
    )
    if u.shape != y.shape[1:]:
        raise ValueError(f"gradient_correlation: grad_output has shape {u.shape}, one sample's output {y.shape[1:]}")
    (gradient,) = tr.grad(y, values, to_device(np.broadcast_to(u, y.shape).astype(y.dtype), y.device))
    rows = to_device(gradient.data, "cpu").reshape(samples, -1).astype("float64")
    gram = rows @ rows.T
    norms = np.sqrt(np.diag(gram))
    with np.errstate(all="ignore"):
        correlation = gram / np.outer(norms, norms)
        pooled = (gram.sum() - np.trace(gram)) / ((samples - 1) * np.trace(gram))
    arrays = {
        "correlation": correlation,
        "mean_correlation": np.asarray(correlation[np.triu_indices(samples, 1)].mean()),
        "pooled_correlation": np.asarray(pooled),
        "gradient_norm": norms,
    }
    axes: dict[str, tuple[str, ...]] = {
        "correlation": ("sample", "sample"), "mean_correlation": (), "pooled_correlation": (),
        "gradient_norm": ("sample",),
    }  # fmt: skip
    return Measurement("gradient correlation", arrays, axes, "one forward and one backward pass", _draw)


def _draw(figure: Any, found: Measurement) -> None:
    left, right = figure.subplots(1, 2)
    correlation = found["correlation"]
    image = left.imshow(correlation, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
    left.set(xlabel="sample", ylabel="sample", title="cosine of input gradients")
    figure.colorbar(image, ax=left)
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    right.hist(pairs[np.isfinite(pairs)], bins=np.linspace(-1, 1, 41), color=palette.CASES[0])
    mean = float(found["mean_correlation"])
    right.axvline(mean, color=palette.CASES[1], label=f"mean {mean:.3g}")
    right.set(xlabel="cosine", ylabel="pairs", title=f"all pairs of {len(correlation)} samples")
    right.legend()
