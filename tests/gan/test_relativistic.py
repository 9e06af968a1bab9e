"""Losses that compare fakes with real samples: formulas, pulls, symmetries, and the trainer that hands both over."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, gan, nn, optim
from tinyres.gan import LOSSES

PAIRED = [name for name, loss in LOSSES.items() if loss.paired]


def drawn(n, seed=0):
    return 2 * np.random.default_rng(seed).standard_normal((n, 1))


def log_sigmoid(t):
    return -np.logaddexp(0, -t)


def sigmoid(t):
    return 1 / (1 + np.exp(-t))


FORMULAS = {  # what the player in front wants to be far above the other one
    "relativistic": lambda ahead, behind: -log_sigmoid(ahead - behind).mean(),
    "relativistic_average": lambda ahead, behind: (
        -log_sigmoid(ahead - behind.mean()).mean() - log_sigmoid(-(behind - ahead.mean())).mean()
    ),
}
PULLS = {
    "relativistic": lambda fake, real: -sigmoid(real - fake),
    "relativistic_average": lambda fake, real: -sigmoid(real.mean() - fake) - sigmoid(real - fake.mean()).mean(),
}


@pytest.mark.parametrize("name", PAIRED)
def test_both_players_minimise_one_formula_with_exchanged_roles(name):
    loss, real, fake = LOSSES[name], drawn(7), drawn(7, 1)
    leaf = tr.tensor(fake, requires_grad=True)
    assert float(loss.discriminator(tr.tensor(real), leaf)) == pytest.approx(FORMULAS[name](real, fake), rel=1e-12)
    value = loss.generator(leaf, tr.tensor(real))
    assert float(value) == pytest.approx(FORMULAS[name](fake, real), rel=1e-12)
    np.testing.assert_allclose(7 * tr.grad(value, leaf)[0].numpy(), PULLS[name](fake, real), rtol=1e-12)


@pytest.mark.parametrize("name", PAIRED)
def test_only_differences_count(name):
    loss, real, fake = LOSSES[name], drawn(5), drawn(5, 1)
    for shift in (3.0, -40.0):
        for value, moved in (
            (loss.discriminator(real, fake), loss.discriminator(real + shift, fake + shift)),
            (loss.generator(fake, real), loss.generator(fake + shift, real + shift)),
        ):
            assert float(moved) == pytest.approx(float(value), rel=1e-12)
    undecided = np.zeros((4, 1))
    assert float(loss.discriminator(undecided, undecided)) == pytest.approx(
        math.log(2) * (1 if name == "relativistic" else 2)
    )


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("a", [-1e4, -90, 90, 1e4])
def test_float32_logits_of_any_size_are_sound(name, a):
    low, high = (tr.tensor(np.full((3, 1), v, np.float32), requires_grad=True) for v in (-a, a))
    for value in (LOSSES[name].discriminator(high, low), LOSSES[name].generator(low, high)):
        assert np.isfinite(float(value))
        assert all(np.isfinite(g.numpy()).all() for g in tr.grad(value, [low, high], retain_graph=True))


def test_pairs_need_a_partner_each():
    for call in (LOSSES["relativistic"].discriminator, LOSSES["relativistic"].generator):
        with pytest.raises(ValueError, match=r"each fake is compared with one real sample.*\(\d, 1\)"):
            call(drawn(4), drawn(3))


@pytest.mark.parametrize("name", PAIRED)
def test_the_trainer_compares_with_the_batch_that_d_saw_last(name, monkeypatch):
    """One step of G on paper: D is linear, so its slope is the pull times D's weights."""
    seen = {}

    class Watched(nn.Linear):
        def forward(self, x):
            seen.setdefault("inputs", []).append(x.numpy().copy())
            return super().forward(x)

    points = data.Dataset(np.random.default_rng(0).standard_normal((8, 2)).astype("f"), np.zeros(8, int), "points", ())
    g, d = nn.Linear(2, 2, rng=0), Watched(2, 1, rng=1)
    trainer = gan.GANTrainer(
        g, d, points, loss=LOSSES[name], batch_size=4, latent=2, total=1, d_steps=2,
        optimizer_g=optim.SGD(g.parameters(), 0.0), optimizer_d=optim.SGD(d.parameters(), 0.0),
    )  # fmt: skip
    (record,) = trainer.steps()
    real, fake = seen["inputs"][-1], seen["inputs"][-2]
    assert [len(x) for x in seen["inputs"]] == [4] * 6  # D twice on reals and fakes; G's fakes, and reals beside them
    np.testing.assert_array_equal(real, seen["inputs"][2])
    on_real, on_fake = (x @ d.weight.numpy().T + d.bias.numpy() for x in (real, fake))
    assert record.g_loss == pytest.approx(FORMULAS[name](on_fake, on_real), rel=1e-5)


def test_r3gan_moves_digits_and_repeats_itself():
    recipe = gan.GANRecipe.of("r3gan", "digits", width=8, batch_size=16, steps=3, latent=4)
    assert (recipe.arch, recipe.loss, recipe.penalty, recipe.norm) == ("r3gan", "relativistic", "r1r2", "none")
    assert gan.GANRecipe.of("r3gan", "ring8").arch == "mlp"
    first, second = ([tuple(r) for r in gan.prepare(recipe).steps()] for _ in range(2))
    assert first == second
    assert len({row[1] for row in first}) == 3
