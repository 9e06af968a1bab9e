"""Layer normalisation: what it normalises over, its shapes, and what it says of wrong ones."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(3, 2, shape)


@pytest.mark.parametrize(("shape", "own"), [((5, 7), 7), ((2, 3, 7), (7,)), ((2, 3, 4, 5), (3, 4, 5))])
def test_each_sample_has_mean_0_and_variance_1(shape, own):
    axes = tuple(range(len(shape) - (1 if isinstance(own, int) else len(own)), len(shape)))
    y = nn.LayerNorm(own).to("float64")(tr.tensor(draws(*shape))).numpy()
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), 1, rtol=1e-4)


def test_eps_is_added_to_the_variance():
    layer, x = nn.LayerNorm(2, eps=0.5).to("float64"), tr.tensor(np.array([[1.0, 3.0], [5.0, 5.0]]))
    one = 1 / 1.5**0.5  # a variance of 1, and not a standard deviation of 1 + 0.5
    np.testing.assert_allclose(layer(x).numpy(), [[-one, one], [0, 0]], rtol=1e-12)


def test_no_sample_sees_another():
    layer, x = nn.LayerNorm((3, 2, 2)), draws(4, 3, 2, 2).astype("f")
    together = layer(tr.tensor(x)).numpy()
    alone = np.concatenate([layer(tr.tensor(x[i : i + 1])).numpy() for i in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)


def test_weight_and_bias_are_by_entry():
    layer = nn.LayerNorm(4).to("float64")
    plain = layer(tr.tensor(draws(3, 4))).numpy()
    layer.weight.data, layer.bias.data = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0])
    np.testing.assert_allclose(layer(tr.tensor(draws(3, 4))).numpy(), plain * [1, 2, 3, 4] + [4, 3, 2, 1])
    bare = nn.LayerNorm(4, elementwise_affine=False)
    assert not list(bare.parameters())
    np.testing.assert_allclose(bare(tr.tensor(draws(3, 4))).numpy(), plain)


def test_gradients_to_second_order():
    layer = nn.LayerNorm((3, 2))

    def normalise(x, weight, bias):
        layer.__dict__.update(weight=weight, bias=bias)
        return layer(x)

    tr.gradcheck(normalise, [draws(2, 3, 2), draws(3, 2, seed=1), draws(3, 2, seed=2)], order=2, seeds=2)


def test_a_constant_sample_is_0_and_its_gradient_finite():
    x = tr.tensor(np.full((2, 5), 3.0), requires_grad=True)
    y = nn.LayerNorm(5).to("float64")(x)
    assert not y.numpy().any()
    (g,) = tr.grad(y, x, draws(2, 5))
    assert np.isfinite(g.numpy()).all()


def test_images_keep_their_memory_layout():
    layer = nn.LayerNorm((8, 4, 5))
    x = tr.tensor(np.ones((2, 4, 5, 8), np.float32).transpose(0, 3, 1, 2))
    assert layer(x).data.transpose(0, 2, 3, 1).flags.c_contiguous
    assert layer.weight.data.transpose(1, 2, 0).flags.c_contiguous


@pytest.mark.parametrize(("own", "shape"), [((3, 4), (2, 4, 3)), ((3, 4), (4,)), (5, (2, 4))])
def test_another_shape_is_an_error(own, shape):
    with pytest.raises(ValueError, match=r"LayerNorm.*x must have shape \(\.\.\., .*got"):
        nn.LayerNorm(own)(tr.tensor(np.zeros(shape, "f")))


@pytest.mark.parametrize("own", [0, (), (3, 0)])
def test_nothing_to_normalise_over_is_an_error(own):
    with pytest.raises(ValueError, match="at least one entry"):
        nn.LayerNorm(own)
