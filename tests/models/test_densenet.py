"""Densely connected nets: sizes of the paper, what a layer adds, what a transition takes away."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.models.densenet import DenseLayer


def test_an_image_of_224_pixels():
    model = models.densenet_imagenet(121, width=8, rng=0).eval()
    x = tr.tensor(np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype("f"))
    with tr.no_grad():
        y = model.blocks(model.stem(x))
        assert y.shape[2:] == (7, 7)
        assert model.head(y).shape == (1, 1000)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == 121


def test_a_layer_keeps_what_was_there_and_adds():
    model = models.densenet(10, 4, bottleneck=True, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 8, 5, 5)).astype("f")
    y = model.blocks[0](tr.tensor(x)).numpy()
    assert y.shape == (2, 12, 5, 5)
    np.testing.assert_array_equal(y[:, :8], x)
    assert y[:, 8:].any()


@pytest.mark.parametrize(("bottleneck", "kept"), [(False, 24), (True, 8)])
def test_a_transition_halves_the_image_and_with_bottlenecks_the_channels(bottleneck, kept):
    model = models.densenet(16 if bottleneck else 10, 4, bottleneck=bottleneck, rng=0)
    channels = (2 * 4 if bottleneck else 16) + 2 * 4
    x = np.random.default_rng(0).standard_normal((2, channels, 6, 6)).astype("f")
    assert model.blocks[2](tr.tensor(x)).shape == (2, kept, 3, 3)


def test_the_gradient_of_what_was_there_passes_untouched():
    layer = DenseLayer(nn.Conv2d(3, 2, 3, padding=1, rng=0)).to("float64")
    rng = np.random.default_rng(0)
    x = tr.tensor(rng.standard_normal((2, 3, 4, 4)), requires_grad=True)
    g = rng.standard_normal((2, 5, 4, 4))
    (whole,) = tr.grad(layer(x), x, g)
    (branch,) = tr.grad(layer.branch(x), x, g[:, 3:])
    np.testing.assert_allclose(whole.numpy() - branch.numpy(), g[:, :3], rtol=0, atol=1e-14)
