"""Variances of float32 data whose mean is 10,000 times their spread, against the same in float64."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.flow.instruments import statistics

RNG = np.random.default_rng(0)
HALF_A_PLACE = 2.0**-11  # of a float32 number between 8,192 and 16,384: what a mean there is off by when it is kept


def around(mean, *shape):
    return (mean + RNG.standard_normal(shape)).astype("f")


def normal(x, axes):
    x = x.astype("d")
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


SHAPES = [(64, 8, 16, 16), (4096, 8), (3, 5)]


@pytest.mark.parametrize("mean", [1e4, -1e4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rung", ["im2col", "cpu"])
def test_batch_norm(rung, shape, mean):
    x, axes = around(mean, *shape), (0, *range(2, len(shape)))
    running, variance = (tr.tensor(np.zeros(shape[1], "f")) for _ in range(2))
    with tr.kernels(rung):
        y = tr.batch_norm(tr.tensor(x), running, variance, momentum=1.0).numpy()
    spread = x.astype("d").std(axes)
    assert np.abs(y - normal(x, axes)).max() <= 1.1 * HALF_A_PLACE / spread.min()
    np.testing.assert_allclose(running.numpy(), x.astype("d").mean(axes), atol=1.1 * HALF_A_PLACE)
    np.testing.assert_allclose(variance.numpy(), x.astype("d").var(axes, ddof=1), rtol=1e-5)


@pytest.mark.parametrize("rung", ["im2col", "cpu"])
def test_a_channel_with_an_infinity_is_not_a_number_and_the_others_are(rung):
    x = around(1e4, 300, 3)
    x[::100, 1] = np.inf
    with tr.kernels(rung), np.errstate(invalid="ignore"):
        y = tr.batch_norm(tr.tensor(x)).numpy()
    assert np.isnan(y[:, 1]).all()
    np.testing.assert_allclose(y[:, [0, 2]], normal(x[:, [0, 2]], 0), atol=2 * HALF_A_PLACE)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_composition_that_is_differentiated_twice(shape):
    x = around(1e4, *shape)
    gradients = []
    for dtype, create_graph in (("float32", True), ("float64", False)):
        leaf = tr.tensor(x.astype(dtype), requires_grad=True)
        (g,) = tr.grad((tr.batch_norm(leaf) ** 3).sum(), leaf, create_graph=create_graph)
        gradients.append(g.detach().numpy())
    # The cotangent 3 y^2 comes from the fused forward, with the rounding of its mean.
    np.testing.assert_allclose(*gradients, atol=60 * HALF_A_PLACE)


@pytest.mark.parametrize("axis", [0, 1, None, (0, 1)])
def test_var(axis):
    x = around(1e4, 4096, 60)
    leaf = tr.tensor(x, requires_grad=True)
    y = tr.var(leaf, axis=axis)
    np.testing.assert_allclose(y.detach().numpy(), x.astype("d").var(axis, ddof=1), rtol=2e-5)
    (g,) = tr.grad(y.sum(), leaf)
    count = x.size / y.size
    expected = 2 * (x - x.astype("d").mean(axis, keepdims=True)) / (count - 1)
    np.testing.assert_allclose(g.numpy(), expected, atol=4e-2 / count)


def test_the_moments_that_flow_records():
    x = around(1e4, 64, 8, 16, 16)
    found = statistics.activation_summary(x)
    assert found.variance == pytest.approx(x.astype("d").var(), rel=1e-6)
    assert found.mean == pytest.approx(x.astype("d").mean(), rel=1e-12)


def test_layer_norm_is_off_by_what_its_documentation_says():
    x = around(1e4, 64, 512)
    # Two units in the mean's last place. One was the first guess; 1.16 were measured.
    assert np.abs(nn.LayerNorm(512)(tr.tensor(x)).detach().numpy() - normal(x, 1)).max() < 4 * HALF_A_PLACE
