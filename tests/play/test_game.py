"""What two players see: pulls against their closed form, D's level lines, modes, the phase portrait."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan
from tinyres.flow.theory import saturation
from tinyres.gan.losses import OF_FAKES
from tinyres.play import players
from tinyres.play.game_run import GameRun
from tinyres.play.messages import full


def run(steps=0, **setting):
    made = GameRun(full("game", {"batch": 64, "width": 16, **setting}))
    for _ in range(steps):
        made.advance()
    return made


@pytest.mark.parametrize("loss", OF_FAKES)
@pytest.mark.parametrize("target", ["gaussians", "ring8", "digits"])
def test_the_pull_is_the_closed_form(loss, target):
    """Of every single fake, by the logit: autograd through the library's loss against the formula."""
    found = run(3, target=target, loss=loss).measure()["probe"]
    np.testing.assert_allclose(found["measured"], found["closed"], rtol=1e-5, atol=1e-7)
    assert (np.diff(found["confidence"]) >= 0).all()


def test_closed_forms_of_the_pulls():
    a = np.array([-3.0, 0.0, 2.0])
    d = 1 / (1 + np.exp(-a))
    np.testing.assert_allclose(players.closed_pull("saturating", a), d)
    np.testing.assert_allclose(players.closed_pull("nonsaturating", a), 1 - d)
    np.testing.assert_allclose(players.closed_pull("least_squares", a), np.abs(a - 1))
    for loss in ("hinge", "wasserstein"):
        np.testing.assert_array_equal(players.closed_pull(loss, a), np.ones(3))


def test_arrows_are_minus_the_slope_of_the_loss_at_each_fake():
    made = run(5, target="ring8")
    figures, h = made.measure(), 1e-7
    noise = made.trainer.fixed_noise(200)
    fakes = made.trainer.sample(noise=noise).astype("float64")
    np.testing.assert_allclose(figures["fake"], fakes, rtol=1e-6)
    double = made.trainer.discriminator.to("float64")

    def loss(points):  # of each fake alone
        return tr.softplus(-double(tr.tensor(points))).numpy()[:, 0]

    for axis in (0, 1):
        step = np.zeros(2)
        step[axis] = h
        slope = (loss(fakes + step) - loss(fakes - step)) / (2 * h)
        np.testing.assert_allclose(np.asarray(figures["pull"])[:, axis], -slope, rtol=1e-3, atol=1e-5)


def test_level_lines_are_d_over_the_box():
    made = run(3, target="ring8")
    level, (_, x1, y0, _) = made.picture()["level"], made.box
    assert level.shape == (40, 40)
    corner = made.trainer.discriminator(tr.tensor(np.array([[x1, y0]], "float32")))
    assert level[0, -1] == pytest.approx(tr.sigmoid(corner).item(), rel=1e-5)
    line = run(target="gaussians", best=True).picture()["level"]
    assert line.shape == (2, 80)
    bias, slope = saturation.optimal_logit(4.0)
    x = np.linspace(-4, 8, 80)
    np.testing.assert_allclose(line[0], 1 / (1 + np.exp(-(bias + slope * x))), rtol=1e-5)
    critic = run(target="gaussians", best=True, loss="wasserstein").picture()["level"]
    np.testing.assert_allclose(critic[1], bias + slope * x, rtol=1e-5)


def test_modes_are_counted_and_digits_are_shown():
    found = run(target="ring8").picture()["modes"]
    assert found["of"] == 8
    assert 0 <= found["found"] <= 8
    images = run(target="digits").picture()["images"]
    assert (images.shape, images.dtype) == ((16, 8, 8), np.dtype("u1"))


def test_the_orbit_is_every_point_so_far():
    made = run(4, target="dirac", optimizer="sgd", lr_g=0.1, lr_d=0.1, loss="saturating", theta=0.8)
    orbit = np.array(made.measure()["orbit"])
    assert orbit.shape == (5, 2)
    theta, psi = 0.8, 0.0
    for reached in orbit[1:]:  # D first, then G, by hand
        psi -= 0.1 * theta / (1 + np.exp(-theta * psi))
        theta += 0.1 * psi / (1 + np.exp(-theta * psi))
        np.testing.assert_allclose(reached, [theta, psi], rtol=1e-5)


def test_live_knobs_of_a_game():
    made = run(2, target="ring8")
    made.turn(made.setting | {"loss": "hinge", "penalty": "r1", "weight": 2.0, "lr_g": 0.5, "lr_d": 0.25})
    trainer = made.trainer
    assert (trainer.loss.name, trainer.penalty_weight) == ("hinge", 2.0)
    assert trainer.penalty is gan.PENALTIES["r1"]
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (trainer.optimizer_g, trainer.optimizer_d)]
    assert rates == [0.5, 0.25]
    before = made.measure()["fake"]
    made.advance()
    assert not np.array_equal(made.measure()["fake"], before)
