"""Fully connected players, and the players by name."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn


def draws(*shape):
    return tr.tensor(np.random.default_rng(0).standard_normal(shape).astype("f"))


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_shapes_counts_and_gradients(depth, norm):
    generator = models.mlp_generator(3, 8, depth, 2, rng=0)
    discriminator = models.mlp_discriminator(8, depth, 2, norm=norm, rng=1)
    points = generator(draws(6, 3))
    assert points.shape == (6, 2)
    assert discriminator(points).shape == (6, 1)
    hidden = (depth - 2) * (8 * 8 + 8)
    assert generator.parameter_count() == 3 * 8 + 8 + hidden + 8 * 2 + 2
    norms = 0 if norm == "none" else (depth - 1) * 2 * 8
    assert discriminator.parameter_count() == 2 * 8 + 8 + hidden + 8 + 1 + norms
    weights = np.random.default_rng(1).standard_normal((6, 1))
    (discriminator(points) * weights.astype("f")).sum().backward()
    for model in (generator, discriminator):
        for name, p in model.named_parameters():
            assert p.grad is not None, name
            assert np.isfinite(p.grad.numpy()).all(), name


def test_points_anywhere_and_no_batch_norm_in_the_generator():
    generator = models.mlp_generator(rng=0)
    assert not any(isinstance(m, (nn.BatchNorm1d, nn.Tanh)) for m in generator)
    assert np.abs(generator(100 * draws(6, 2)).numpy()).max() > 1


SHAPES = {
    "mlp": [(2,), (5,), (1, 8, 8), (3, 4, 6)],
    "dcgan": [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)],
    "gan64": [(1, 64, 64), (3, 64, 64)],
    "resgan": [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64)],
    "r3gan": [(1, 8, 8), (3, 16, 16), (1, 28, 28), (3, 32, 32)],
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes])
def test_players_by_name(name, shape):
    assert set(SHAPES) == set(models.PLAYERS)
    players = models.PLAYERS[name]
    for norm in ("none",) if name == "r3gan" else ("layer", "none", "batch"):
        width = 8 if name == "r3gan" else 2
        samples = players.generator(7, width, shape, norm, 0)(draws(2, 7))
        assert samples.shape == (2, *shape)
        if len(shape) == 3 and name != "r3gan":
            assert np.abs(samples.numpy()).max() <= 1
        discriminator = players.discriminator(7, width, shape, norm, 1)
        assert discriminator(samples).shape == (2, 1)
        kinds = {"batch": (nn.BatchNorm1d, nn.BatchNorm2d), "layer": (nn.LayerNorm,), "none": ()}
        for kind, types in kinds.items():
            assert any(isinstance(m, types) for m in discriminator.modules()) is (kind == norm and norm != "none")
        with pytest.raises(ValueError, match="needs samples of shape"):
            discriminator(draws(2, *shape[:-1], shape[-1] + 1))


@pytest.mark.parametrize(
    ("name", "shape", "needed"),
    [
        ("dcgan", (2,), "square images"),
        ("dcgan", (1, 8, 28), "square images"),
        ("dcgan", (1, 16, 16), "got size=16"),
        ("resgan", (1, 16, 16), "got size=16"),
        ("gan64", (1, 32, 32), r"\(C, 64, 64\), got \(1, 32, 32\); the players 'mlp' take any shape"),
    ],
)
def test_a_shape_that_does_not_exist_is_an_error(name, shape, needed):
    players = models.PLAYERS[name]
    for make in (players.generator, players.discriminator):
        with pytest.raises(ValueError, match=needed):
            make(7, 2, shape, "none", 0)
