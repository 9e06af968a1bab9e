"""Sampling from a generator, and the averaged generator to sample from."""

from __future__ import annotations

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.autograd.tensor import Array, rebind
from tinyres.gan.labels import told
from tinyres.models import ConditionalGenerator


def update_average(average: nn.Module, generator: nn.Module, decay: float, step: int) -> None:
    """a <- d a + (1 - d) x for parameters *and* batch norm's running statistics, d = min(decay, (1 + t) / (10 + t)).

    The smaller d of the first steps t forgets the initial weights; counters are copied. The statistics of an averaged
    net are not exactly the averaged statistics; they agree as far as the net moves little within 1 / (1 - decay) steps.
    Yazıcı et al. 2019 [yazici2019unusual], "The unusual effectiveness of averaging in GAN training".

    Args:
        average: a copy of the generator; what it holds is replaced.
        step: t, from 0.
    """
    d = min(decay, (1 + step) / (10 + step))
    new = generator.state_dict()
    for name, value in [*average.named_parameters(), *average.named_buffers()]:
        x = new[name].data
        rebind(value, d * value.data + (1 - d) * x if np.issubdtype(x.dtype, np.floating) else x)


def sample(generator: nn.Module, noise: Array, labels: Array | None = None, batch_size: int = 500) -> Array:
    """G(noise) with running statistics, unrecorded; each module is afterwards in the mode in which it was.

    Noise, labels and samples are NumPy arrays wherever the generator is.

    Args:
        labels: (N,), the class of each sample for a conditional generator.

    Raises:
        ValueError: there is no noise, or not one label for each row of it.
    """
    if isinstance(generator, ConditionalGenerator) and labels is None:
        raise ValueError("sample: a conditional generator needs labels, one for each row of noise")
    if labels is not None and len(labels) != len(noise):
        raise ValueError(f"sample: one label for each row of noise is needed, got {len(labels)} for {len(noise)} rows")
    if not len(noise):
        raise ValueError(f"sample: needs at least one row of noise, got shape {noise.shape}")
    parts: list[Array] = []
    modes = [(module, module.training) for module in generator.modules()]
    first = next(generator.parameters())
    generator.eval()
    try:
        with tr.no_grad():
            for i in range(0, len(noise), batch_size):
                rows = slice(i, i + batch_size)
                y = None if labels is None else tr.tensor(np.asarray(labels[rows])).to(first.device)
                z = tr.tensor(noise[rows].astype(first.dtype)).to(first.device)
                parts.append(told(generator, y)(z).numpy())
    finally:
        for module, mode in modes:
            module.training = mode
    return np.concatenate(parts)
