"""The denoiser: the authors' size, the subtraction, and that it removes noise."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.models.dncnn import dncnn
from tinyres.ops.losses import mse_loss


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("f")


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 28), (32, 32), (7, 10)])
def test_the_image_less_its_noise_in_the_same_shape(height, width):
    model, x = dncnn(5, 8, rng=0).eval(), tr.tensor(random(2, 1, height, width))
    y = model(x)
    assert y.shape == x.shape
    np.testing.assert_array_equal(y.numpy(), x.numpy() - model.noise(x).numpy())
    assert y.node.roles == ("skip", "branch")


def test_without_its_last_layer_it_is_the_identity():
    model = dncnn(4, 8, rng=0)
    nn.init.zeros_(model.head.weight)
    x, g = tr.tensor(random(2, 1, 6, 6), requires_grad=True), random(2, 1, 6, 6, seed=1)
    y = model(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    np.testing.assert_array_equal(tr.grad(y, [x], g)[0].numpy(), g)


def test_weights_are_orthogonal():
    model = dncnn(5, 8, rng=0)
    for conv in [m for m in model.modules() if isinstance(m, nn.Conv2d)]:
        w = conv.weight.numpy().reshape(conv.out_channels, -1).astype("float64")
        gram = w @ w.T if len(w) <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-6)
    assert len(list(model.blocks)) == 3
    assert {(m.eps, m.momentum) for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {(1e-4, 0.05)}


def test_it_learns_to_remove_noise():
    """Smooth images with noise of standard deviation 0.5: half of its energy is gone after 60 steps."""
    rng = np.random.default_rng(0)
    model, sd = dncnn(5, 8, rng=rng), 0.5
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    slope = np.linspace(-1, 1, 12)
    for _ in range(60):
        a, b = rng.standard_normal((2, 8, 1, 1, 1))
        clean = (a * slope[:, None] + b * slope).astype("f")
        x = clean + sd * rng.standard_normal(clean.shape).astype("f")
        loss = mse_loss(model(tr.tensor(x)), tr.tensor(clean))
        model.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < sd**2 / 2
