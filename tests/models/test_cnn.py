"""The small convolutional net: sizes, dropout, what it refuses."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.cnn import cnn


def images(size, n=2):
    return tr.tensor(np.random.default_rng(0).standard_normal((n, 1, size, size)).astype("f"))


def test_parameter_count_of_the_mnist_tutorials():
    # 5·5·32 + 32, 5·5·32·64 + 64, 7·7·64·1024 + 1024, 1024·10 + 10
    assert cnn(in_channels=1, size=28, rng=0).parameter_count() == 832 + 51_264 + 3_212_288 + 10_250 == 3_274_634


@pytest.mark.parametrize("size", [4, 8, 28, 30, 32])
def test_logits_and_gradients(size):
    model = cnn(width=4, in_channels=1, classes=7, size=size, rng=0)
    assert len(list(model.blocks)) == 2
    y = model(images(size))
    assert y.shape == (2, 7)
    y.sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.numpy().any(), name


def test_dropout_draws_in_training_only():
    model, x = cnn(width=4, in_channels=1, rng=0), images(8)
    assert (model(x).numpy() != model(x).numpy()).any()
    model.eval()
    np.testing.assert_array_equal(model(x).numpy(), model(x).numpy())
    model = cnn(width=4, in_channels=1, dropout=0.0, rng=0)
    np.testing.assert_array_equal(model(x).numpy(), model.eval()(x).numpy())
    assert sum(isinstance(m, nn.Dropout) for m in model.modules()) == 1


def test_what_does_not_exist():
    for depth in (0, 3, 5):
        with pytest.raises(ValueError, match=f"cnn: depth must be 4 .* got {depth}"):
            cnn(depth)
    with pytest.raises(ValueError, match=r"size must be at least 4, .* got 3"):
        cnn(size=3)
    with pytest.raises(ValueError, match=r"needs images of shape \(N, 1, 8, 8\), got \(2, 1, 28, 28\)"):
        cnn(in_channels=1)(images(28))


def test_the_same_seed_gives_the_same_net_and_the_same_dropped_units():
    a, b, c = (cnn(width=4, in_channels=1, rng=seed) for seed in (3, 3, 4))
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not (next(a.parameters()).numpy() == next(c.parameters()).numpy()).all()
    np.testing.assert_array_equal(a(images(8)).numpy(), b(images(8)).numpy())
