"""What real samples look like, and recipes: names, presets and who wins."""

import math

import numpy as np
import pytest

from tinyres import gan, models
from tinyres.gan.recipe import FIELDS


def test_digits_are_all_there_and_scaled_to_tanh():
    digits = gan.real_data("digits")
    assert digits.inputs.shape == (1797, *gan.SHAPES["digits"])
    assert (digits.inputs.min(), digits.inputs.max()) == (-1, 1)
    assert digits.inputs.dtype == np.float32
    np.testing.assert_array_equal(np.bincount(digits.targets), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])


@pytest.mark.parametrize(("name", "modes", "reach"), [("ring8", 8, 1.0), ("grid25", 25, 1.0)])
def test_mixtures_are_what_their_centres_say(name, modes, reach):
    points, (centers, sd) = gan.real_data(name, seed=3), gan.mixture(name)
    assert centers.shape == (modes, 2)
    assert np.abs(centers).max() == pytest.approx(reach)
    away = points.inputs - centers[points.targets]
    assert away.std() == pytest.approx(sd, rel=0.01)
    assert not np.array_equal(points.inputs, gan.real_data(name, seed=4).inputs)


def test_the_grid_is_the_papers_in_another_unit():
    centers, sd = gan.mixture("grid25")
    x = np.unique(centers[:, 0])
    assert (x[1] - x[0]) / sd == pytest.approx(2 / 0.05)


def test_names_that_do_not_exist():
    with pytest.raises(ValueError, match="no data called 'imagenet'; there are digits, ring8"):
        gan.real_data("imagenet")
    with pytest.raises(ValueError, match="digits is no mixture; ring8 and grid25 are"):
        gan.mixture("digits")
    for field, value, message in (
        ("data", "imagenet", "no data called 'imagenet'"),
        ("arch", "vae", "no arch called 'vae'; there are mlp, dcgan, gan64, resgan"),
        ("method", "gan", "no method called 'gan'"),
        ("loss", "hing", "no loss called 'hing'"),
        ("penalty", "r2", "no penalty called 'r2'; there are none, gp, r1, dragan"),
        ("norm", "group", "no norm called 'group'; there are batch, layer, none"),
        ("d_steps", 0, "d_steps must be at least 1, got 0"),
        ("lr_g", math.nan, "lr_g must be at least 0, got nan"),
        ("ema", 1.0, "ema must be at least 0 and below 1, got 1.0"),
        ("beta2", 1.0, "beta2 must be at least 0 and below 1, got 1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            gan.GANRecipe(**{field: value})


def test_explicit_values_win_over_the_method_and_that_over_the_data():
    gp = gan.GANRecipe.of("wgan_gp", "ring8")
    assert (gp.loss, gp.penalty, gp.penalty_weight, gp.d_steps) == ("wasserstein", "gp", 10.0, 5)
    assert (gp.arch, gp.latent) == ("mlp", 2)
    mine = gan.GANRecipe.of("wgan_gp", "ring8", penalty="none", d_steps=1, width=16, lr_g=None)
    assert (mine.penalty, mine.d_steps, mine.width, mine.lr_g) == ("none", 1, 16, gp.lr_g)
    assert set(mine.differs_from(gp)) == {"penalty", "d_steps", "width"}
    tuned, papers = (gan.GANRecipe.of("r1", data) for data in ("digits", "ring8"))
    assert (tuned.lr_g, papers.lr_g) == (2e-4, 1e-4)
    assert gan.GANRecipe(**mine.to_json()) == mine
    assert set(FIELDS) == set(mine.to_json())


@pytest.mark.parametrize("method", gan.METHODS)
@pytest.mark.parametrize("data", ["digits", "ring8"])
def test_every_method_builds_players_and_takes_a_step(method, data):
    recipe = gan.GANRecipe.of(method, data, steps=2, width=32, batch_size=8)
    trainer = gan.prepare(recipe)
    before = {name: module.state_dict() for name, module in trainer.modules.items()}
    for record in trainer.steps():
        assert all(math.isfinite(value) for value in record)
    for name, module in trainer.modules.items():
        moved = [not np.array_equal(before[name][k].numpy(), v.numpy()) for k, v in module.state_dict().items()]
        assert np.mean(moved) > 0.8, name
    if recipe.clip:
        assert max(np.abs(p.numpy()).max() for p in trainer.discriminator.parameters()) <= recipe.clip
    assert trainer.sample(3).shape == (3, *gan.SHAPES[data])


@pytest.mark.parametrize(("arch", "data"), [("gan64", "digits"), ("dcgan", "ring8"), ("resgan", "ring8")])
def test_an_architecture_that_does_not_fit_is_refused_before_training(arch, data):
    with pytest.raises(ValueError, match=f"{arch} makes no samples of shape"):
        gan.players(gan.GANRecipe.of("nonsaturating", data, arch=arch, width=4))


def test_every_architecture_is_offered():
    for data, arch in (("cifar10", "dcgan"), ("mnist", "dcgan"), ("digits", "mlp"), ("digits", "resgan")):
        generator, discriminator = gan.players(gan.GANRecipe.of("nonsaturating", data, arch=arch, width=4))
        assert generator.parameter_count() > 0
        assert discriminator.parameter_count() > 0
    assert set(models.PLAYERS) == {"mlp", "dcgan", "gan64", "resgan"}
