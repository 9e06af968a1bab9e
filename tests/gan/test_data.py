"""What real samples look like, and recipes: names, presets and who wins."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan, models, nn
from tinyres.gan.recipe import FIELDS
from tinyres.nn.spectral_norm import SpectralNorm


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
    with pytest.raises(ValueError, match="digits is not a mixture; ring8 and grid25 are"):
        gan.mixture("digits")
    for field, value, message in (
        ("data", "imagenet", "no data called 'imagenet'"),
        ("arch", "vae", "no arch called 'vae'; there are mlp, dcgan, gan64, resgan, r3gan"),
        ("method", "gan", "no method called 'gan'"),
        ("loss", "hing", "no loss called 'hing'"),
        ("penalty", "r3", "no penalty called 'r3'; there are none, gp, r1, r2, r1r2, dragan"),
        ("norm", "group", "no norm called 'group'; there are batch, layer, none"),
        ("d_steps", 0, "d_steps must be at least 1, got 0"),
        ("penalty_every", 0, "penalty_every must be at least 1, got 0"),
        ("burn_in", 1.5, "burn_in is a share of the steps and must be in"),
        ("lr_end", -0.1, "lr_end must be at least 0, got -0.1"),
        ("beta2_end", 1.0, "beta2_end must be at least 0 and below 1, got 1.0"),
        ("lr_g", math.nan, "lr_g must be a finite number, got nan"),
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
    for data, lr, lr_end, penalty_end in (
        ("ring8", 2e-4, 0.25, 0.1),
        ("stacked-digits", 1e-3, 1, 1),
        ("digits", 1e-3, 1, 1),
    ):
        r3 = gan.GANRecipe.of("r3gan", data)
        assert (r3.lr_g, r3.lr_d, r3.lr_end, r3.penalty_end) == (lr, lr, lr_end, penalty_end)
    assert gan.GANRecipe(**mine.to_json()) == mine
    assert set(FIELDS) == set(mine.to_json())


def test_a_penalty_that_is_added_has_a_weight():
    for penalty in ("gp", "r1", "dragan"):
        assert gan.GANRecipe.of("nonsaturating", "ring8", penalty=penalty).penalty_weight == 10
        assert gan.GANRecipe.of("nonsaturating", "ring8", penalty=penalty, penalty_weight=0.1).penalty_weight == 0.1
        assert gan.GANRecipe.of("nonsaturating", "ring8", penalty=penalty, penalty_weight=0.0).penalty_weight == 0
    assert gan.GANRecipe.of("nonsaturating", "ring8", penalty="none").penalty_weight == 0
    with pytest.raises(ValueError, match="penalty_weight 5: nonsaturating has no penalty; name one as well"):
        gan.GANRecipe.of("nonsaturating", "ring8", penalty_weight=5.0)


def test_a_recipe_reaches_the_trainer_whole():
    """Every value is another than the default, and the trainer shows it."""
    recipe = gan.GANRecipe(
        data="ring8", arch="mlp", method="r1", loss="hinge", penalty="r1", penalty_weight=3.0, clip=0.5,
        penalty_every=3, burn_in=0.5, lr_end=0.6, penalty_end=0.7, beta2_end=0.8,
        spectral_norm=True, instance_noise=0.3, d_steps=4, batch_size=7, steps=9, lr_g=1e-3, lr_d=2e-3, beta1=0.1,
        beta2=0.7, latent=5, width=6, ema=0.8, norm="layer", seed=11,
    )  # fmt: skip
    made = gan.prepare(recipe)
    assert made.loss is gan.LOSSES["hinge"]
    assert (made.penalty, made.penalty_weight, made.clip, made.instance_noise) == (gan.r1, 3.0, 0.5, 0.3)
    assert (made.d_steps, made.total, made.latent, made.ema, made.seed) == (4, 9, 5, 0.8, 11)
    assert (made.penalty_every, made.burn_in) == (3, gan.BurnIn(4, 0.6, 0.7, 0.8))
    assert next(iter(made.loader))[0].shape == (7, 2)
    for name, lr in (("generator", 1e-3), ("discriminator", 2e-3)):
        optimizer = made.optimizers[name]
        assert (optimizer.lr, tuple(optimizer.betas)) == (lr, (0.1, 0.7))
        assert {id(p) for p in optimizer.params} == {id(p) for p in made.modules[name].parameters()}
    kinds = [type(m) for m in made.discriminator.modules()]
    assert nn.LayerNorm in kinds
    assert any(isinstance(m, SpectralNorm) for m in made.discriminator.modules())
    assert not any(isinstance(m, SpectralNorm) for m in made.generator.modules())
    assert made.sample(3).shape == (3, 2)
    assert made.generator(tr.tensor(np.zeros((2, 5), np.float32))).shape == (2, 2)


def test_the_seed_draws_the_weights_and_the_points():
    a, b, c = (gan.prepare(gan.GANRecipe.of("r1", "ring8", width=4, seed=seed)) for seed in (1, 1, 2))
    first = [next(made.generator.parameters()).numpy() for made in (a, b, c)]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    np.testing.assert_array_equal(a.dataset.inputs, b.dataset.inputs)
    assert not np.array_equal(a.dataset.inputs, c.dataset.inputs)


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
    for data, arch in (
        ("cifar10", "dcgan"),
        ("mnist", "dcgan"),
        ("digits", "mlp"),
        ("digits", "resgan"),
        ("digits", "r3gan"),
    ):
        generator, discriminator = gan.players(gan.GANRecipe.of("nonsaturating", data, arch=arch, norm="none", width=8))
        assert generator.parameter_count() > 0
        assert discriminator.parameter_count() > 0
    assert set(models.PLAYERS) == {"mlp", "dcgan", "gan64", "resgan", "r3gan"}
