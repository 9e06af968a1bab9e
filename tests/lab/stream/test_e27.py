"""E27: gradient descent at the edge of stability."""

from functools import cache

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.lab.stream import e27_edge_of_stability as e27

MOMENTUM = e27.Case(momentum=0.5, start=0.5)


@pytest.mark.slow
def test_every_law_holds_and_with_momentum_two_seeds_come_to_the_edge(tmp_path, monkeypatch):
    """Seed 0, thrown to .87 of it, is still on its way back, and within a few thousandths of the law's limit. Of the
    controls with small steps, of which each takes as long as a law, there is one."""
    monkeypatch.setattr(e27, "train", cache(e27.train))
    monkeypatch.setattr(e27, "CONTROLS", e27.CONTROLS[:1])
    result = holds("E27", tmp_path, undecided=f"{MOMENTUM.name}: sharpness over the edge")
    assert [law.kind for law in result.laws] == ["asymptotic"] * 4 + ["figure"]
    assert result.laws[4].measured < 0.95
    seen = [e27.train(MOMENTUM, seed) for seed in range(2)]
    assert abs(e27.law_of(MOMENTUM, seen[1]).measured - 1) < 0.02
    assert np.abs(np.subtract([one[0, -4:].mean() for one in seen], 1)).max() < 0.03


def test_the_edge_of_another_step(monkeypatch):
    """A setting is the one case that is trained, and its edge is the one that decides."""
    asked = []
    monkeypatch.setattr(e27, "train", lambda case, seed: asked.append(case) or np.array([[0.0] * 20 + [0.98] * 21] * 2))
    result = lab.run("E27", step=0.5, momentum=0.3)
    assert asked == [e27.Case(0.5, 0.3, 0.5)]
    assert [(law.measured, law.ok) for law in result.laws] == [(pytest.approx(0.98), True)]


def test_the_edges():
    assert e27.Case().edge == 5
    assert e27.Case(0.1, 0.9).edge == pytest.approx(38)
    assert e27.Case(0.05, 0.9, 0.5, against=0.4).edge == e27.EDGES[-1].edge == pytest.approx(9.5)
    assert e27.Case(0.05, 0.9, 0.5, 0.4).name == "step 0.05, from below, momentum 0.9, and the edge of step 0.4"
    assert e27.Case(0.25, 0.5, 0.5).name == "step 0.25, from below, momentum 0.5"


def test_the_net_and_its_data():
    rng = np.random.default_rng(0)
    x, y = e27.images(rng)
    assert x.shape == (300, 64)
    assert np.abs(x.mean(axis=0)).max() < 1e-12
    assert (x**2).mean() == pytest.approx(1)
    assert (y.sum(axis=1) == 1).all()
    weights = e27.initial(rng, 0.5)
    assert [w.shape for w in weights] == [(64, 32), (32, 32), (32, 32), (32, 10)]
    h = x
    for w in weights[:-1]:
        h = np.tanh(h @ w.numpy())
    wanted = 0.5 * ((h @ weights[-1].numpy() - y) ** 2).sum(axis=1).mean()
    assert e27.loss(weights, x, y).item() == pytest.approx(wanted)


def test_a_short_training_by_hand(monkeypatch):
    """Three steps with momentum, and the sharpness before the first."""
    monkeypatch.setattr(e27, "EVERY", 3)
    case = e27.Case(0.4, 0.5, 0.5)
    seen = e27.train(case, 0, 3)
    rng = np.random.default_rng((0, 27))
    x, y = e27.images(rng)
    weights = e27.initial(rng, 0.5)
    speed = [0.0] * 4
    first = e27.loss(weights, x, y).item()
    for _ in range(3):
        gradients = tr.grad(e27.loss(weights, x, y), weights)
        speed = [0.5 * v + g.numpy() for v, g in zip(speed, gradients, strict=True)]
        weights = [tr.tensor(w.numpy() - 0.4 * v, requires_grad=True) for w, v in zip(weights, speed, strict=True)]
    np.testing.assert_allclose(seen[1], [first, e27.loss(weights, x, y).item()])
    assert 0 < seen[0, 0] < 1


def test_the_mean_of_the_last_half_decides():
    seen = np.array([[0.0] * 20 + [1.0] * 21, [1.0] * 41])
    assert e27.law_of(e27.Case(), seen).ok
    assert not e27.law_of(e27.Case(), 0.95 * seen).ok
    assert e27.law_of(e27.CONTROLS[0], 0.5 * seen).kind == "figure"
