"""Wasserstein critics: the laws hold, and notice a penalty, a limit and a second derivative that are wrong."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres.flow.theory import wasserstein
from tinyres.gan.losses import LOSSES
from tinyres.gan.penalties import gradient_penalty, r1
from tinyres.lab import run
from tinyres.lab.players import e08_wasserstein as e08
from tinyres.lab.registry import Options, SettingError


def failures():
    return [law.name for law in e08.run(Options(), lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    holds("E8", tmp_path)


def test_the_closed_forms():
    assert [wasserstein.penalised_slope(4, weight) for weight in (10, 0.1)] == pytest.approx([1.2, 21])
    assert wasserstein.penalised_value(4, 10) == pytest.approx(4.4)
    assert wasserstein.parallel_lines(0.0) == (0, 0)


def test_a_penalty_on_the_square_of_the_slope_is_noticed(monkeypatch):
    monkeypatch.setattr(e08, "gradient_penalty", lambda f, real, fake, rng: 2 * r1(f, real, fake, rng))
    found = failures()
    assert sum("slope" in name for name in found) == len(e08.PENALTIES)
    assert "penalty's second derivatives, relative error" in found


def test_a_slope_that_counts_as_a_constant_is_noticed(monkeypatch):
    """The inner gradient without a graph: its derivative by the weights is lost, and the penalty teaches nothing."""
    grad = tr.grad

    def detached(f, real, fake, rng):
        x = tr.tensor(real, requires_grad=True)
        (slope,) = grad(tr.sum(f(x)), x)
        n = tr.sqrt(tr.sum(slope * slope, axis=1))
        return tr.mean((n - 1) ** 2) + 0.0 * tr.sum(f(x))

    monkeypatch.setattr(e08, "gradient_penalty", detached)
    found = failures()
    assert "penalty's second derivatives, relative error" in found
    assert sum(name.startswith("WGAN-GP") for name in found) >= len(e08.PENALTIES)


def test_weights_that_are_not_clipped_are_noticed(monkeypatch):
    monkeypatch.setattr(e08, "clip_weights_", lambda player, c: None)
    assert sum(name.startswith("clipping") for name in failures()) == 2 * len(e08.CLIPS)


def test_a_plan_that_is_not_the_cheapest_and_a_likelihood_that_is_none_are_noticed(monkeypatch):
    y = (np.arange(e08.LINES) + 0.5) / e08.LINES
    monkeypatch.setattr(e08, "transport", lambda theta: float(np.hypot(theta, y - y[::-1]).mean()))
    monkeypatch.setitem(LOSSES, "saturating", LOSSES["least_squares"])
    monkeypatch.setattr(e08, "RATE", 0.1)
    assert sum(name.startswith("parallel lines") for name in failures()) == 2


# -- at other settings ------------------------------------------------------------------------------------------------
SETTINGS = [
    {"delta": 0.316, "penalty_weight": 50.0, "clip": 0.03},  # plain gradient ascent is slow here
    {"delta": 1e-3, "penalty_weight": 1e3, "clip": 1e-4},
    {"delta": 150.0, "penalty_weight": 0.02, "clip": 5.0},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_laws_hold_at_other_settings(settings):
    result = run("E8", **settings)
    assert len(result.laws) == 4
    assert [law.name for law in result.laws if not law.ok] == []
    assert f"{settings['delta']:g}" in result.found


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_wrong_penalty_and_a_wrong_clip_are_noticed_at_other_settings(settings, monkeypatch):
    monkeypatch.setattr(e08, "gradient_penalty", lambda *a: 1.01 * gradient_penalty(*a))
    monkeypatch.setattr(e08, "clip_weights_", lambda player, c: None)
    assert len([law for law in run("E8", **settings).laws if not law.ok]) == 4


def test_a_critic_that_has_not_arrived_is_noticed(monkeypatch):
    monkeypatch.setattr(e08, "STEPS", 8)
    assert sum(name.startswith("WGAN-GP") for name in failures()) == 2 * len(e08.PENALTIES)


def test_settings_out_of_range():
    with pytest.raises(SettingError, match=r"from 0\.01 to 1000"):
        run("E8", penalty_weight=0)
