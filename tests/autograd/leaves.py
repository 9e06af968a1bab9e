"""Tensors that want a gradient."""

import numpy as np

import tinyres as tr


def leaf(*shape, seed=0):
    """Normal numbers in float64."""
    return tr.tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)
