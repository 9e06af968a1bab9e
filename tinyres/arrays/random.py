"""The generator of everything that is not given one: `tr.manual_seed` seeds it, `rng_of(None)` is it."""

from __future__ import annotations

import numpy as np

Rng = np.random.Generator | int | None

_SHARED = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed every draw that follows and is not given a generator or a seed of its own. Returns the generator.

    These are `tr.rand` and its like, the initialisers of layers, dropout, and loaders that shuffle without a seed. The
    numbers are not those of PyTorch for the same seed. An argument `rng=` or `seed=` is independent of it.
    """
    _SHARED.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return _SHARED


def rng_of(rng: Rng = None) -> np.random.Generator:
    """The generator itself, the one of a seed, or the shared one for None."""
    return _SHARED if rng is None else np.random.default_rng(rng)


__all__ = ["Rng", "manual_seed", "rng_of"]
