"""The loop: whose weights a step moves and by how much, the average, the noise, and what happens at a NaN."""

import dataclasses
import math
import re

import numpy as np
import pytest

import tinyres as tr
from tinyres import data, gan, nn, optim, training
from tinyres.gan.trainer import NOISE


def points(n=40, seed=0):
    return data.gaussian_mixture(n, [[2.0]], 1.0, seed, dtype="float64")


class Affine(nn.Module):
    """x w + b for numbers: what one can differentiate by hand."""

    def __init__(self, w, b):
        self.w, self.b = nn.Parameter(np.array([[w]])), nn.Parameter(np.array([b]))

    def forward(self, x):
        return x @ self.w + self.b


class Watching(Affine):
    """A discriminator that keeps what it was shown."""

    def forward(self, x):
        self.__dict__.setdefault("seen", []).append(x.numpy().copy())
        return super().forward(x)


def trainer(generator=None, discriminator=None, *, rate=0.1, **changed):
    g, d = generator or Affine(1.0, -0.5), discriminator or Affine(0.7, 0.1)
    settings = {"loss": gan.LOSSES["nonsaturating"], "batch_size": 8, "latent": 1, "seed": 5, "total": 10}
    settings |= {"optimizer_g": optim.SGD(g.parameters(), rate), "optimizer_d": optim.SGD(d.parameters(), rate)}
    return gan.GANTrainer(g, d, points(), **settings | changed)


def small(method="nonsaturating", **changed):
    return gan.prepare(gan.GANRecipe.of(method, "digits", **{"steps": 8, "width": 4, "batch_size": 16} | changed))


def values(module):
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def test_two_steps_against_the_gradients_by_hand():
    """G(z) = w z + b, D(x) = v x + c, softplus losses: every derivative is a line of algebra."""
    made, rate = trainer(d_steps=2), 0.1
    w, b, v, c = 1.0, -0.5, 0.7, 0.1
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    loader = data.DataLoader(points(), 8, shuffle=True, seed=5, drop_last=True)
    real = [x.numpy() for _ in range(2) for x, _ in loader]
    records = [record for _, record in zip(range(2), made.steps(), strict=False)]
    for step in range(2):
        rng = made._draws(NOISE, step)
        for k in range(2):
            x, z = real[2 * step + k], rng.standard_normal((8, 1))
            y = w * z + b
            at_real, at_fake = sigmoid(v * x + c), sigmoid(v * y + c)
            d_loss = np.mean(-np.log(at_real)) + np.mean(-np.log(1 - at_fake))
            dv = np.mean((at_real - 1) * x) + np.mean(at_fake * y)
            dc = np.mean(at_real - 1) + np.mean(at_fake)
            v, c = v - rate * dv, c - rate * dc
        z = rng.standard_normal((8, 1))
        pull = sigmoid(v * (w * z + b) + c) - 1  # at the discriminator as it is now
        g_loss, dw, db = np.mean(-np.log(pull + 1)), np.mean(pull * v * z), np.mean(pull * v)
        w, b = w - rate * dw, b - rate * db
        found = records[step]
        expected = (step, d_loss, g_loss, math.hypot(dv, dc), math.hypot(dw, db), at_real.mean(), at_fake.mean())
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose([p.item() for p in made.generator.parameters()], [w, b], rtol=1e-12)
    np.testing.assert_allclose([p.item() for p in made.discriminator.parameters()], [v, c], rtol=1e-12)


def test_neither_player_moves_the_other():
    """With a rate of zero for one of them only the other changes, although the loss passes through both."""
    for still, moving in (("generator", "discriminator"), ("discriminator", "generator")):
        made = trainer(rate=0.1)
        made.optimizers[still].lr = 0.0
        before = {name: values(module) for name, module in made.modules.items()}
        next(made.steps())
        assert values(made.modules[still]) == before[still]
        assert values(made.modules[moving]) != before[moving]
        assert all(p.grad is None for module in made.modules.values() for p in module.parameters())


def test_the_penalty_is_in_the_discriminators_loss():
    """R1 of an affine D is v²/2 whatever the data: its weight times that is what the loss grows by."""
    bare, punished = next(trainer().steps()), next(trainer(penalty=gan.r1, penalty_weight=3.0).steps())
    assert punished.d_loss - bare.d_loss == pytest.approx(3.0 * 0.7**2 / 2, rel=1e-12)


def test_a_penalty_is_given_the_data_first_and_then_the_fakes():
    given = []

    def penalty(discriminator, real, fake, rng):
        given.extend(x.numpy() for x in (real, fake))
        return discriminator.w.sum()

    made = trainer(penalty=penalty, penalty_weight=1.0)
    noise = made._draws(NOISE, 0).standard_normal((8, 1))
    next(made.steps())
    batch, _ = next(iter(data.DataLoader(points(), 8, shuffle=True, seed=5, drop_last=True)))
    real, fake = given
    np.testing.assert_array_equal(real, batch.numpy())
    np.testing.assert_allclose(fake, 1.0 * noise - 0.5, rtol=1e-12)


def test_weights_are_clipped_after_each_step_of_the_discriminator():
    made = trainer(clip=0.05, d_steps=3)
    for _ in made.steps():
        assert max(abs(p.item()) for p in made.discriminator.parameters()) <= 0.05
    assert max(abs(p.item()) for p in made.generator.parameters()) > 0.05
    free = trainer(clip=0.0)
    next(free.steps())
    assert max(abs(p.item()) for p in free.discriminator.parameters()) > 0.05


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"d_steps": 0}, "d_steps must be at least 1, got 0"),
        ({"penalty_every": 0}, "penalty_every must be at least 1, got 0"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1, got 1.0"),
        ({"batch_size": 41}, "40 samples do not fill one of 41"),
    ],
)
def test_what_cannot_train_is_refused_at_once(changed, message):
    with pytest.raises(ValueError, match=message):
        next(trainer(**changed).steps())


def test_no_noise_is_no_sample():
    with pytest.raises(ValueError, match="sample: needs at least one row of noise, got shape"):
        trainer().sample(0)


def test_a_penalty_on_a_discriminator_with_batch_norm_is_refused_at_once():
    with pytest.raises(ValueError, match="Batch norm makes each score depend on the whole batch"):
        small("r1", norm="batch")


def test_the_average_holds_weights_and_running_statistics():
    made, decay = small(ema=0.9), 0.9
    average = {name: value.astype("float64") for name, value in values(made.generator).items()}
    for step, _ in enumerate(made.steps()):
        d = min(decay, (1 + step) / (10 + step))
        now = values(made.generator)
        counts = [name for name in now if name.endswith("num_batches_tracked")]
        assert len(counts) == 2
        for name, value in now.items():
            average[name] = value if name in counts else d * average[name] + (1 - d) * value
    found = values(made.average)
    assert set(found) == set(average)
    for name in found:
        np.testing.assert_allclose(found[name], average[name], rtol=2e-6, atol=1e-7, err_msg=name)
    assert not np.allclose(found["2.running_mean"], values(made.generator)["2.running_mean"], rtol=0.01)
    assert made.sample(2).tobytes() != made.sample(2, ema=False).tobytes()


def test_without_an_average_samples_are_the_generators():
    made = small(ema=0.0)
    next(made.steps())
    assert made.average is None
    np.testing.assert_array_equal(made.sample(2), made.sample(2, ema=False))


def test_instance_noise_falls_to_zero_on_all_that_d_sees():
    class Still(Affine):
        def forward(self, z):
            return super().forward(z) * 0.0

    watching = Watching(0.7, 0.1)
    made = trainer(Still(1.0, 0.0), watching, instance_noise=2.0, batch_size=40, total=4)
    for step, _ in enumerate(made.steps()):
        real, fake, for_g = watching.__dict__.pop("seen")
        sd = 2.0 * (1 - step / 4)
        for seen in (fake, for_g):  # G gives zeros, so what is seen is the noise
            assert seen.std() == pytest.approx(sd, rel=0.35)
        assert real.std() == pytest.approx(math.hypot(1.0, sd), rel=0.35)
        assert not np.array_equal(fake, for_g)


def test_all_draws_come_from_the_seed_and_the_number_of_the_step():
    a, b, c = (trainer(seed=seed) for seed in (5, 5, 6))
    for made in (a, b, c):
        made.step = 4
    x, y, z = (next(made.steps()) for made in (a, b, c))
    assert x == y
    assert x != z
    assert x.step == 4
    np.testing.assert_array_equal(a.fixed_noise(3), b.fixed_noise(3))
    assert not np.array_equal(a.fixed_noise(3), c.fixed_noise(3))


def test_noise_is_not_what_ordered_the_batches():
    made = trainer()
    first, second = (made._draws(NOISE, step).standard_normal(4) for step in (0, 1))
    assert not np.array_equal(first, np.random.default_rng((made.seed, 0)).standard_normal(4))
    assert not np.array_equal(first, second)


def test_sampling_leaves_the_trainer_alone():
    made = small()
    next(made.steps())
    before, modes = values(made.generator), [m.training for m in made.generator.modules()]
    first = made.sample(700, rng=3)
    # No batch's statistics. Few numbers have NumPy's tanh, many a kernel's: they may differ in the last place.
    np.testing.assert_allclose(first[:64], made.sample(64, rng=3), rtol=5e-7, strict=True)
    assert first.shape == (700, 1, 8, 8)
    assert [m.training for m in made.generator.modules()] == modes
    for name, value in values(made.generator).items():
        np.testing.assert_array_equal(value, before[name])


MESSAGE = (
    r"at step 3 the discriminator's loss is nan: first in the forward pass of layer '4' \(ConvTranspose2d\) of the "
    r"generator: conv2d_dx made Inf in generator\.4; its inputs were"
)


def test_a_nan_stops_at_once_names_the_operation_and_keeps_the_state():
    made = small(steps=20)
    for _ in range(3):
        next(made.steps())
    broken = next(p for p in made.generator.parameters() if p.ndim == 4)
    broken.data = np.full_like(broken.data, 3e38)  # the transposed convolution's sums overflow
    before = {name: values(module) for name, module in made.modules.items()}
    moments = made.optimizer_d.state_dict()["state"][0]["exp_avg"].copy()
    with pytest.raises(training.Diverged, match=MESSAGE):
        next(made.steps())
    assert (made.step, len(made.history)) == (3, 3)
    for name, module in made.modules.items():
        for key, value in values(module).items():
            np.testing.assert_array_equal(value, before[name][key], err_msg=f"{name} {key}")
    np.testing.assert_array_equal(made.optimizer_d.state_dict()["state"][0]["exp_avg"], moments)


def test_a_gradient_that_is_not_finite_stops_too():
    """The loss is finite, its derivative is not: sqrt at 0."""

    class Root(Affine):
        def forward(self, x):
            return tr.sqrt(super().forward(x) * 0.0)

    with pytest.raises(training.Diverged, match=r"the discriminator's gradient has the norm nan: .* the rule of <sqrt"):
        next(trainer(discriminator=Root(1.0, 0.0)).steps())


def test_a_step_out_of_the_numbers_is_the_optimisers():
    with pytest.raises(training.Diverged, match=r"a weight of the discriminator is no longer finite: every operation"):
        next(trainer(rate=1e308, penalty=gan.r1, penalty_weight=1e4).steps())


@pytest.mark.parametrize(("discriminator", "what"), [
    (Affine(3e7, 0.0), "the discriminator's loss is "),
    (Affine(0.0, 3e6), "an output of the discriminator is 3e+06"),
])  # fmt: skip
def test_what_is_far_too_large_is_diverged_before_it_overflows(discriminator, what):
    made = trainer(discriminator=discriminator, loss=dataclasses.replace(gan.LOSSES["hinge"], discriminator=flat))
    if "loss" in what:
        made = trainer(discriminator=discriminator)
    before = values(discriminator)
    with pytest.raises(training.Diverged, match=rf"at step 0 {re.escape(what)}.*beyond 1e\+06.*smaller learning rate"):
        next(made.steps())
    assert (values(discriminator), made.history) == (before, [])


def flat(real, fake):
    """0, whatever the outputs."""
    return (real.mean() + fake.mean()) * 0.0


@pytest.mark.parametrize(("method", "d_steps"), [("nonsaturating", 2), ("wgan_gp", 5), ("sn_hinge", 1)])
def test_the_generator_finds_the_mean_of_the_data(method, d_steps):
    change = {"norm": "none", "lr_g": 1e-3, "lr_d": 2e-3, "batch_size": 64, "width": 16, "steps": 100}
    recipe, mean = gan.GANRecipe.of(method, "ring8", d_steps=d_steps, **change), np.array([0.8, -0.6])
    made = gan.prepare(recipe, data.gaussian_mixture(2000, mean[None], 0.3, 0))
    away = lambda: np.linalg.norm(made.sample(500).mean(axis=0) - mean)
    start = away()
    for _ in made.steps():
        pass
    assert start > 1
    assert away() < 0.4
