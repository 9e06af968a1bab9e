"""Densely connected nets: sizes of the paper, what a layer adds, what a transition takes away."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, models, nn
from tinyres.models.densenet import DenseLayer


@pytest.mark.parametrize(
    ("depth", "growth", "bottleneck", "millions"),
    # Huang et al. 2017 [huang2017densely], table 2.
    [(40, 12, False, 1.0), (100, 12, False, 7.0), (100, 12, True, 0.8), (250, 24, True, 15.3), (190, 40, True, 25.6)],
)
def test_parameter_counts_of_table_2(depth, growth, bottleneck, millions):
    model = models.densenet(depth, growth, bottleneck=bottleneck, rng=0)
    assert round(model.parameter_count() / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("depth", "growth", "count"),
    # torchvision's table of models, "num_params": densenet121, 161, 169, 201.
    [(121, 32, 7_978_856), (161, 48, 28_681_000), (169, 32, 14_149_480), (201, 32, 20_013_928)],
)
def test_parameter_counts_for_imagenet(depth, growth, count):
    assert models.densenet_imagenet(depth, growth, rng=0).parameter_count() == count


@pytest.mark.parametrize("size", [8, 28, 32])
@pytest.mark.parametrize(("depth", "bottleneck"), [(10, False), (16, True)])
def test_logits_and_layers(size, depth, bottleneck):
    model = models.densenet(depth, 4, in_channels=1, classes=7, bottleneck=bottleneck, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 1, size, size)).astype("f")
    assert model(tr.tensor(x)).shape == (2, 7)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth
    layer = [type(block).__name__ for block in model.blocks.children()]
    assert layer == (["DenseLayer"] * 2 + ["Sequential"]) * 2 + ["DenseLayer"] * 2


def test_an_image_of_224_pixels():
    model = models.densenet_imagenet(121, width=8, rng=0).eval()
    x = tr.tensor(np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype("f"))
    with tr.no_grad():
        y = model.blocks(model.stem(x))
        assert y.shape[2:] == (7, 7)
        assert model.head(y).shape == (1, 1000)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == 121


def test_depths_that_do_not_exist():
    with pytest.raises(ValueError, match=r"3 n \+ 4 with n >= 1 \(7, 10, 13, ...\), got 0; 7 is nearest"):
        models.densenet(0)
    with pytest.raises(ValueError, match=r"6 n \+ 4 with n >= 1 \(10, 16, 22, ...\), got 99; 100 is nearest"):
        models.densenet(99, bottleneck=True)
    with pytest.raises(ValueError, match="one of 121, 161, 169, 201, got 0; 121 is nearest"):
        models.densenet_imagenet(0)


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


@pytest.mark.parametrize("bottleneck", [False, True])
def test_every_layer_is_seen_and_every_parameter_reached(bottleneck):
    model = models.densenet(16, 4, in_channels=1, bottleneck=bottleneck, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((4, 1, 8, 8)).astype("f"))
    with flow.record(model) as recording:
        (model(x) * np.random.default_rng(1).standard_normal((4, 10)).astype("f")).sum().backward()
    assert len(recording.blocks) == len(model.blocks)
    assert (recording.gradient_norms() > 0).all()
    assert all(p.grad is not None and p.grad.numpy().any() for p in model.parameters())


def test_the_gradient_of_what_was_there_passes_untouched():
    layer = DenseLayer(nn.Conv2d(3, 2, 3, padding=1, rng=0)).to("float64")
    rng = np.random.default_rng(0)
    x = tr.tensor(rng.standard_normal((2, 3, 4, 4)), requires_grad=True)
    g = rng.standard_normal((2, 5, 4, 4))
    (whole,) = tr.grad(layer(x), x, g)
    (branch,) = tr.grad(layer.branch(x), x, g[:, 3:])
    np.testing.assert_allclose(whole.numpy() - branch.numpy(), g[:, :3], rtol=0, atol=1e-14)


def test_the_same_seed_gives_the_same_net():
    a, b, c = (models.densenet(16, 4, bottleneck=True, rng=seed) for seed in (3, 3, 4))
    assert all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not all((p.numpy() == q.numpy()).all() for p, q in zip(a.parameters(), c.parameters(), strict=True))
