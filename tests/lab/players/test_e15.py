"""Deep critics in small: the laws hold, and notice weights that are not clipped and a penalty that does not help."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres.lab.players import e15_critics as e15
from tinyres.lab.registry import Options


@pytest.fixture
def small(monkeypatch):
    """Narrow and short; with as many seeds as in full, since an interval of three is wider than the tolerance."""
    for name, value in {"SEEDS": 5, "WIDTH": 64, "STEPS": 60, "LR": 2e-3, "BATCH": 64, "PROBES": 256}.items():
        monkeypatch.setattr(e15, name, value)


@pytest.mark.slow
def test_the_laws_hold_in_small(small, tmp_path):
    holds("E15", tmp_path)


def test_weights_that_are_not_clipped_are_noticed(small, monkeypatch):
    monkeypatch.setattr(e15, "STEPS", 3)
    # (the untrained weights are of about 0.1 as it is)
    monkeypatch.setattr(e15, "clip_weights_", lambda player, c: None)
    failed = [law.name for law in e15.run(Options(), lambda: None).laws if not law.ok]
    assert {c for c in e15.CLIPS if any(name.startswith(f"clip {c:g}:") for name in failed)} == {0.01, 0.001}


def test_a_penalty_that_bends_the_gradient_is_noticed():
    """Norms made to a factor: .5 for the best clipped critic, .4 for the penalised one."""

    def critics(factor):
        return [e15.Found((factor + spread) ** np.arange(11)[::-1], 0.1, 0.5) for spread in (0, 0.001, 0.002)]

    found = {f"clip {c:g}": critics(0.5) for c in e15.CLIPS}
    assert not e15.laws({**found, e15.PENALTY: critics(0.4)})[-1].ok
    assert e15.laws({**found, e15.PENALTY: critics(0.8)})[-1].ok


def test_the_bounds_of_a_clipped_layer():
    """Against matrices of +-c: random signs in the mean square, equal ones exactly."""
    n, c, rng = 400, 0.1, np.random.default_rng(0)
    walk, aligned = e15.clipped_factor(c, n)
    g = np.where(np.arange(n) % 2, rng.standard_normal(n), 0.0)  # half of the units pass nothing
    signs = rng.choice([-c, c], (n, n))
    assert np.linalg.norm(signs @ g) / np.linalg.norm(g) == pytest.approx(walk * np.sqrt(2), rel=0.1)
    masked = (signs @ g) * (np.arange(n) % 2)  # and so in the layer below
    assert np.linalg.norm(masked) / np.linalg.norm(g) == pytest.approx(walk, rel=0.1)
    ones = np.where(np.arange(n) % 2, 1.0, 0.0)
    assert np.linalg.norm((np.full((n, n), c) @ ones) * ones) / np.linalg.norm(ones) == pytest.approx(aligned)


def test_the_gradient_is_that_of_the_layers(small):
    """A last layer twice as large doubles it, in every layer."""
    rng = np.random.default_rng(0)
    player = e15.critic(rng)
    once = e15.measure(player, np.random.default_rng(1))
    player[-1].weight.data = 2 * player[-1].weight.numpy()
    twice = e15.measure(player, np.random.default_rng(1))
    np.testing.assert_allclose(twice.gradient, 2 * once.gradient)
    assert twice.factor == pytest.approx(once.factor)
    assert tr.tensor(once.gradient).shape == (e15.DEPTH - 1,)
