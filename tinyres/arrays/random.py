"""The generator of everything that is not given one: `tr.manual_seed` seeds it, `rng_of(None)` is it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:  # NumPy imports its generators when they are first used, and `import tinyres` uses none
    from numpy.random import Generator

Rng: TypeAlias = "Generator | int | None"

_shared: list[Generator] = []  # at most one


def manual_seed(seed: int) -> Generator:
    """Seed every draw that follows and is not given a generator or a seed of its own. Returns the generator.

    These are `tr.rand` and its like, the initialisers of layers, and dropout. The numbers are not those of PyTorch for
    the same seed. What has an argument `rng=` or `seed=` and is given one does not depend on it.
    """
    state = np.random.default_rng(seed).bit_generator.state
    rng_of().bit_generator.state = state  # modules hold on to the generator, so that it must stay the same one
    return rng_of()


def rng_of(rng: Rng = None) -> Generator:
    """The generator itself, the one of a seed, or the shared one for None."""
    if rng is not None:
        return np.random.default_rng(rng)
    if not _shared:
        _shared.append(np.random.default_rng())
    return _shared[0]


__all__ = ["Rng", "manual_seed", "rng_of"]
