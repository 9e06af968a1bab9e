"""Sampling from a generator, and the averaged generator to sample from."""

from __future__ import annotations

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.autograd.tensor import Array, rebind


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


def sample(generator: nn.Module, noise: Array, batch_size: int = 500) -> Array:
    """G(noise) with running statistics, unrecorded; each module is afterwards in the mode in which it was.

    Noise and samples are NumPy arrays wherever the generator is.

    Raises:
        ValueError: there is no noise.
    """
    if not len(noise):
        raise ValueError(f"sample: needs at least one row of noise, got shape {noise.shape}")
    modes = [(module, module.training) for module in generator.modules()]
    first = next(generator.parameters())
    generator.eval()
    try:
        with tr.no_grad():
            parts = [
                generator(tr.tensor(noise[i : i + batch_size].astype(first.dtype)).to(first.device)).numpy()
                for i in range(0, len(noise), batch_size)
            ]
    finally:
        for module, mode in modes:
            module.training = mode
    return np.concatenate(parts)
