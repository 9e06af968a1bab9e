"""Fully connected nets: shapes, initial variances, the two kinds of block."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.mlp import mlp


def images(size, n=2, channels=1):
    return tr.tensor(np.random.default_rng(0).standard_normal((n, channels, size, size)).astype("f"))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("size", [8, 28, 32])
def test_logits(residual, size):
    model = mlp(6, 16, in_channels=1, classes=7, size=size, residual=residual, rng=0)
    assert model(images(size)).shape == (2, 7)
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    assert len(linear) == 6
    assert len(list(model.blocks)) == (2 if residual else 4)
    assert sum(isinstance(m, nn.Residual) for m in model.modules()) == (2 if residual else 0)
    assert sum(isinstance(m, nn.ReLU) for m in model.modules()) == (3 if residual else 5)


@pytest.mark.parametrize("residual", [False, True])
def test_every_parameter_gets_a_gradient(residual):
    model = mlp(6, 16, in_channels=1, residual=residual, rng=0)
    model(images(8)).sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.numpy().any(), name


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


def test_what_does_not_exist():
    with pytest.raises(ValueError, match=r"depth must be n \+ 2 with n >= 1 \(3, 4, 5, ...\), got 0; 3 is nearest"):
        mlp(0)
    with pytest.raises(ValueError, match=r"depth must be 2 n \+ 2 with n >= 1 \(4, 6, 8, ...\), got 7; 6 is nearest"):
        mlp(7, residual=True)
    with pytest.raises(ValueError, match="weight_variance must be at least 0, got -1"):
        mlp(weight_variance=-1)
    with pytest.raises(ValueError, match=r"needs images of shape \(N, 1, 8, 8\), got \(2, 1, 28, 28\)"):
        mlp(in_channels=1)(images(28))


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"weight_variance": 1.5, "bias_variance": 0.1}])
def test_the_same_seed_gives_the_same_net(options):
    a, b, c = (mlp(6, 8, rng=seed, **options) for seed in (3, 3, 4))
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not (a.head.weight.numpy() == c.head.weight.numpy()).all()
