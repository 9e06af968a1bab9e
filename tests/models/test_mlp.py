"""Fully connected nets: shapes, initial variances, the two kinds of block."""

import numpy as np
import pytest

import tinyres as tr
from tinyres.models.mlp import mlp


def images(size, n=2, channels=1):
    return tr.tensor(np.random.default_rng(0).standard_normal((n, channels, size, size)).astype("f"))


def test_he_is_the_default_and_a_residual_branch_ends_in_unit_gain():
    n = 512
    for name, p in mlp(6, n, in_channels=1, residual=True, rng=0).named_parameters():
        if name.endswith("bias"):
            assert not p.numpy().any(), name
        else:
            before_relu = name.startswith("stem") or name.endswith("branch.0.weight")
            # the sample variance of k normal numbers errs by sqrt(2/k) of itself; k >= 5120 here
            assert p.numpy().var() * p.shape[1] == pytest.approx(2 if before_relu else 1, rel=0.08), name


def test_variances_that_are_asked_for():
    model = mlp(8, 256, in_channels=1, weight_variance=1.5, bias_variance=0.05, rng=0)
    for name, p in model.named_parameters():
        if name.endswith("weight"):
            assert p.numpy().var() * p.shape[1] == pytest.approx(1.5, rel=0.1), name
    biases = np.concatenate([p.numpy() for name, p in model.named_parameters() if name.endswith("bias")])
    assert biases.var() == pytest.approx(0.05, rel=0.1)


def test_with_its_branches_at_zero_a_residual_net_is_its_stem_and_head():
    model = mlp(8, 16, in_channels=1, residual=True, rng=0)
    for block in model.blocks:
        block.branch[2].weight.data = np.zeros((16, 16), "f")
    x = images(8)
    np.testing.assert_array_equal(model(x).numpy(), model.head(model.stem(x)).numpy())
