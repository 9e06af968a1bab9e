"""What changes in the first part of a run, and penalties that are added in every k-th step of D."""

import math

import numpy as np
import pytest

from tests.gan.test_trainer import trainer
from tinyres import gan, optim
from tinyres.gan import BurnIn


def test_half_a_cosine():
    burn = BurnIn(100, lr=0.2, penalty=0.0, beta2=0.99)
    assert [burn.share(0.2, step) for step in (0, 50, 100, 1000)] == pytest.approx([1, 0.6, 0.2, 0.2])
    assert burn.share(0.2, 25) == pytest.approx(0.2 + 0.4 * (1 + math.sqrt(0.5)))
    assert burn.between(0.9, 0.99, 50) == pytest.approx(0.945)


def test_the_half_life_of_the_average_rises():
    """Half way it is half of its last value; at first the generator itself is taken."""
    burn, own = BurnIn(100, ema=True), 0.5**0.01  # 100 steps
    assert burn.decay(own, 0) == 0.0
    assert burn.decay(own, 50) == pytest.approx(0.5 ** (1 / 50))
    assert [burn.decay(own, step) for step in (100, 500)] == [own, own]
    assert BurnIn(100).decay(own, 0) == own
    assert burn.decay(0.0, 10) == 0.0


def test_the_trainers_average_follows_it():
    recipe = gan.GANRecipe.of("r3gan", "ring8", width=8, batch_size=16, steps=30, burn_in=1.0, ema=0.5)
    made, burn = gan.prepare(recipe), BurnIn(30, 0.25, 0.1, 0.99, ema=True)
    average = {name: p.numpy().astype("float64") for name, p in made.generator.named_parameters()}
    differing = 0
    for step, _ in enumerate(made.steps()):
        d = min(burn.decay(0.5, step), (1 + step) / (10 + step))
        differing += d < min(0.5, (1 + step) / (10 + step))
        for name, p in made.generator.named_parameters():
            average[name] = d * average[name] + (1 - d) * p.numpy()
    assert differing > 10
    for name, p in made.average.named_parameters():
        np.testing.assert_allclose(p.numpy(), average[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"steps": 5, "lr": -1}, {"steps": 5, "beta2": 1.0}])
def test_what_is_refused(bad):
    with pytest.raises(ValueError, match="a burn-in needs steps >= 1"):
        BurnIn(**bad)


def test_the_trainer_takes_each_step_with_its_values():
    recipe = gan.GANRecipe.of("r3gan", "ring8", width=8, batch_size=16, steps=8, burn_in=0.5, latent=2)
    made, seen = gan.prepare(recipe), []
    real = made.optimizer_d.step

    def step():
        group = made.optimizer_d.param_groups[0]
        seen.append((group["lr"], group["betas"][1], made.optimizer_g.param_groups[0]["lr"]))
        real()

    made.optimizer_d.step = step
    assert len(list(made.steps())) == 8
    assert made.optimizer_d.param_groups[0]["lr"] == 2e-4  # its own again, as the recipe has it
    burn = BurnIn(4, 0.25, 0.1, 0.99)
    expected = [burn.share(0.25, step) * 2e-4 for step in range(8)]
    assert [lr for lr, _, _ in seen] == pytest.approx(expected)
    assert [lr for _, _, lr in seen] == pytest.approx(expected)
    assert [beta for _, beta, _ in seen] == pytest.approx([burn.between(0.9, 0.99, step) for step in range(8)])
    assert seen[0][0] == 2e-4
    assert seen[-1][:2] == pytest.approx((5e-5, 0.99))
    assert [made._weight(0), made._weight(1)] == pytest.approx([0.1, 0.1])  # the run is over: a tenth of 1


def test_other_optimisers_may_have_no_betas():
    optimizer = trainer().optimizer_g
    with BurnIn(2, lr=0.5, beta2=0.9).during(2, [optimizer]):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize(("every", "d_steps"), [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_a_lazy_penalty_pulls_as_much_in_the_mean(every, d_steps):
    """D does not move, so R1's pull is the same in each step: k-fold in every k-th, it sums to what it always was."""
    total = 12 // d_steps
    still = {"rate": 0.0, "d_steps": d_steps, "total": total, "penalty": gan.r1, "penalty_weight": 3.0}
    losses = {}
    for lazy in (1, every):
        made = trainer(**still, penalty_every=lazy)
        bare = trainer(**still | {"penalty": None, "penalty_weight": 0.0})
        weights = [made._weight(turn) for turn in range(12)]
        losses[lazy] = np.array([a.d_loss - b.d_loss for a, b in zip(made.steps(), bare.steps(), strict=True)])
        assert sum(weights) == pytest.approx(12 * 3.0)
        assert sum(weight > 0 for weight in weights) == 12 // lazy
    if d_steps == 1:
        assert losses[every].sum() == pytest.approx(losses[1].sum(), rel=1e-12)
        assert (losses[every] > 1e-9).sum() == 12 // every
        assert losses[1].min() == pytest.approx(losses[1].max())


def test_a_step_without_penalty_costs_none(monkeypatch):
    called = []

    def penalty(discriminator, real, fake, rng):
        called.append(1)
        return gan.r1(discriminator, real, fake, rng)

    made = trainer(penalty=penalty, penalty_weight=1.0, penalty_every=4, total=8)
    assert len(list(made.steps())) == 8
    assert len(called) == 2
    assert isinstance(made.optimizer_d, optim.SGD)
