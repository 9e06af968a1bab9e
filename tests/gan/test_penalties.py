"""Penalties: closed forms on critics whose slope is known, where they look, whom they refuse."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.gan import PENALTIES, clip_weights_, dragan, gradient_penalty, r1, refuse_batch_norm
from tinyres.gan.penalties import r1_r2, r2


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rng(seed=0):
    return np.random.default_rng(seed)


REAL, FAKE = draws(6, 3), draws(6, 3, seed=1) + 4


def linear(weight):
    layer = nn.Linear(len(weight), 1, bias=False, rng=0).to("float64")
    layer.weight.data = np.array([weight])
    return layer


SLOPE = np.array([1.0, 2.0, 2.0])  # of length 3


@pytest.mark.parametrize(("name", "value"), [("gp", 4.0), ("dragan", 4.0), ("r1", 4.5), ("r2", 4.5), ("r1r2", 9.0)])
def test_of_a_linear_critic(name, value):
    """(3 - 1)² and 3² / 2; its derivative with respect to w is 2 (|w| - 1) w / |w|, or w."""
    critic = linear(SLOPE)
    penalty = PENALTIES[name](critic, REAL, FAKE, rng())
    assert penalty.shape == ()
    assert float(penalty) == pytest.approx(value, rel=1e-12)
    (g,) = tr.grad(penalty, [critic.weight])
    slopes = {"r1": SLOPE, "r2": SLOPE, "r1r2": 2 * SLOPE}
    np.testing.assert_allclose(g.numpy(), [slopes.get(name, 4 * SLOPE / 3)], rtol=1e-12)


@pytest.mark.parametrize(("factor", "one_sided", "value"), [(0.1, False, 0.49), (0.1, True, 0.0), (1, True, 4.0)])
def test_one_sided(factor, one_sided, value):
    penalty = gradient_penalty(linear(factor * SLOPE), REAL, FAKE, rng(), one_sided=one_sided)
    assert float(penalty) == pytest.approx(value, rel=1e-12)


def places(penalty, real, fake, seed=0):
    """The samples at which the penalty asks for slopes."""
    seen = []

    def critic(x):
        seen.append(x.numpy())
        return (x * x).sum(axis=tuple(range(1, x.ndim)))

    penalty(critic, real, fake, rng(seed))
    (x,) = seen
    return x


@pytest.mark.parametrize("shape", [(50, 3), (50, 2, 4, 4)])
def test_gp_looks_between_each_pair_at_a_place_of_its_own(shape):
    real, fake = draws(*shape), draws(*shape, seed=1) + 4
    x = places(gradient_penalty, real, fake)
    e = ((x - fake) / (real - fake)).reshape(50, -1)
    np.testing.assert_allclose(e, np.broadcast_to(e[:, :1], e.shape), rtol=1e-8)
    e = e[:, 0]
    assert e.min() > 0
    assert e.max() < 1
    assert len(set(e.round(9))) == 50
    assert abs(e.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 50)
    np.testing.assert_array_equal(x, places(gradient_penalty, real, fake))
    assert not np.array_equal(x, places(gradient_penalty, real, fake, seed=1))


def test_r2_looks_at_the_fakes_and_r1_r2_at_both():
    real, fake = draws(5, 2), draws(3, 2, seed=1)
    np.testing.assert_array_equal(places(r2, real, fake), fake)
    np.testing.assert_array_equal(places(r1_r2, real, fake), [*real, *fake])
    critic = lambda x: (x * x).sum(axis=1)  # whose slope is 2 x
    parts = [2 * (samples**2).sum(axis=1).mean() for samples in (real, fake)]
    assert float(r1_r2(critic, real, fake, rng())) == pytest.approx(sum(parts), rel=1e-12)
    assert float(r2(critic, real, fake, rng())) == pytest.approx(parts[1], rel=1e-12)


def test_dragan_looks_around_the_data_and_r1_at_it():
    real = 3 * draws(4000, 2)
    np.testing.assert_array_equal(places(r1, real, None), real)
    noise = places(dragan, real, None) - real
    assert noise.std() == pytest.approx(1.5, rel=0.05)
    assert abs(noise.mean()) < 5 * 1.5 / np.sqrt(noise.size)


def test_each_penalty_is_taken_where_it_should_be():
    """D = ψ x + χ x² has slope ψ + 2 χ x, which tells the data, at 1, from the fakes, at -2."""
    psi, chi = 0.5, 0.25

    def critic(x):
        return (psi * x + chi * x * x).sum(axis=1)

    def slope(x):
        return psi + 2 * chi * x

    at_data, at_fakes = np.full((2000, 1), 1.0), np.full((2000, 1), -2.0)
    assert float(r1(critic, at_data, at_fakes, rng())) == pytest.approx(slope(1.0) ** 2 / 2, rel=1e-12)
    assert float(dragan(critic, at_data, at_fakes, rng())) == pytest.approx((slope(1.0) - 1) ** 2, abs=1e-12)
    # Between them x ~ U(-2, 1), so that D' = s ~ U(-1/2, 1): 2/3 of the integrals of (s + 1)² below 0, (s - 1)² above.
    mean = 2 / 3 * ((1 - 0.5**3) / 3 + 1 / 3)  # 0.417; at the data alone it would be 0, at the fakes 0.25
    found = float(gradient_penalty(critic, at_data, at_fakes, rng()))
    assert found == pytest.approx(mean, abs=5 * 0.3 / np.sqrt(2000))


@pytest.mark.parametrize(
    ("penalty", "value"),
    [
        (gradient_penalty, lambda x: ((2 * np.linalg.norm(x, axis=1) - 1) ** 2).mean()),
        (dragan, lambda x: ((2 * np.linalg.norm(x, axis=1) - 1) ** 2).mean()),
        (r1, lambda x: (4 * (x**2).sum(1)).mean() / 2),
    ],
)
def test_of_a_curved_critic(penalty, value):
    """D = |x|² has slope 2 |x|, different at each sample."""
    got = penalty(lambda x: (x * x).sum(axis=1), REAL, FAKE, rng())
    assert float(got) == pytest.approx(value(places(penalty, REAL, FAKE)), rel=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_the_derivative_with_respect_to_the_weights(name):
    """Against differences of the penalty itself, for a critic with curvature and a norm."""
    critic = nn.Sequential(nn.Linear(3, 5, rng=0), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 1, rng=1)).to("float64")
    params = list(critic.parameters())
    directions = [draws(*p.shape, seed=k) for k, p in enumerate(params)]
    got = tr.grad(PENALTIES[name](critic, REAL, FAKE, rng()), params, allow_unused=True)
    along = sum((g.numpy() * d).sum() for g, d in zip(got, directions, strict=True) if g is not None)
    start, values = [p.numpy() for p in params], []
    for step in (1e-5, -1e-5):
        for p, value, d in zip(params, start, directions, strict=True):
            p.data = value + step * d
        values.append(float(PENALTIES[name](critic, REAL, FAKE, rng())))
    assert abs(along) > 1e-3
    assert along == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-7)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_flat_critic_gives_no_nan(name):
    critic = linear([0.0, 0.0, 0.0])
    penalty = PENALTIES[name](critic, REAL, FAKE, rng())
    assert float(penalty) == (0 if name.startswith("r") else 1)
    (g,) = tr.grad(penalty, [critic.weight])
    assert not g.numpy().any()


@pytest.mark.parametrize("name", PENALTIES)
def test_samples_are_constants_and_float32_stays(name):
    critic = models.PLAYERS["dcgan"].discriminator(4, 4, (1, 8, 8), "layer", 0)
    fake = tr.tensor(draws(4, 1, 8, 8).astype("f"), requires_grad=True)
    penalty = PENALTIES[name](critic, tr.tensor(draws(4, 1, 8, 8, seed=1).astype("f")), fake, rng())
    assert penalty.dtype == np.float32
    with pytest.raises(RuntimeError, match="not used"):
        tr.grad(penalty, fake)


@pytest.mark.parametrize("name", PENALTIES)
def test_batch_norm_is_refused_wherever_it_is(name):
    critic = nn.Sequential(
        nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=0), nn.BatchNorm1d(3))), nn.Linear(3, 1, rng=0)
    )
    with pytest.raises(ValueError, match=r"BatchNorm1d at '0.branch.1'.*depend on the whole batch.*norm='layer'"):
        PENALTIES[name](critic.to("float64"), REAL, FAKE, rng())


def test_which_players_are_refused():
    for norm in ("layer", "none"):
        for name, shape in (("mlp", (2,)), ("dcgan", (1, 8, 8)), ("resgan", (1, 8, 8)), ("gan64", (3, 64, 64))):
            refuse_batch_norm(models.PLAYERS[name].discriminator(4, 4, shape, norm, 0))
    with pytest.raises(ValueError, match="BatchNorm2d at '3'"):
        refuse_batch_norm(models.dcgan.discriminator(4, rng=0))
    with pytest.raises(ValueError, match="at 'its root'"):
        refuse_batch_norm(nn.BatchNorm2d(3))


def test_why_batch_norm_is_refused():
    """The slope of the sum at one sample changes with the others of its batch; with layer norm it does not."""

    def slope(critic, batch):
        leaf = tr.tensor(batch, requires_grad=True)
        return tr.grad(critic(leaf).sum(), leaf)[0].numpy()[0]

    other = np.concatenate([REAL[:1], draws(5, 3, seed=9)])
    for norm, same in (("layer", True), ("none", True), ("batch", False)):
        critic = models.mlp_discriminator(8, 3, 3, norm=norm, rng=0).to("float64")
        assert np.allclose(slope(critic, REAL), slope(critic, other), rtol=1e-10, atol=1e-14) is same


def test_pairs_of_different_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"the same shape, got \(6, 3\) and \(5, 3\); draw as many"):
        gradient_penalty(linear(SLOPE), REAL, FAKE[:5], rng())


def test_clipping_limits_every_parameter_and_rebinds():
    critic = models.mlp_discriminator(8, 3, rng=0)
    before = [p.data for p in critic.parameters()]
    copies = [a.copy() for a in before]
    clip_weights_(critic, 0.01)
    for p, old, copy in zip(critic.parameters(), before, copies, strict=True):
        np.testing.assert_array_equal(p.numpy(), np.clip(copy, np.float32(-0.01), np.float32(0.01)))
        np.testing.assert_array_equal(old, copy)
        assert p.dtype == np.float32
    with pytest.raises(ValueError, match="must be positive, got 0"):
        clip_weights_(critic, 0)


@pytest.mark.parametrize("penalty", [gradient_penalty, dragan])
def test_a_seed_stands_for_a_generator(penalty):
    critic = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    real, fake = (np.random.default_rng(k).normal(size=(5, 3)).astype("f") for k in (1, 2))
    by_seed, by_generator = (penalty(critic, real, fake, rng).item() for rng in (0, np.random.default_rng(0)))
    assert by_seed == by_generator
