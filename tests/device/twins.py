"""The same module on both devices, and what came of the two held together."""

import numpy as np

from tinyres import nn

VECTOR = (3, 5)


def linear(rng):
    return nn.Linear(5, 4, rng=rng)


def close(found, expected, rtol=1e-9):
    assert found.device == "cuda"
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=rtol, atol=rtol)


def twins(make, seed=0):
    """The same module here and there, in float64."""
    return make(np.random.default_rng(seed)).to("float64"), make(np.random.default_rng(seed)).to("float64").to("cuda")
