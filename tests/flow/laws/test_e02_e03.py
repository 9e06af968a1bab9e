"""The first laws hold at their tolerances, and would not if the physics were wrong."""

import numpy as np
import pytest

from tests.flow.holds import holds
from tinyres.autograd.primitive import Primitive
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.laws import e02_depth, e03_residual_gain

OPTIONS = Options()


def nothing() -> None:
    pass


@pytest.mark.parametrize("name", ["E2", "E3", "check"])
def test_every_law_holds(name, tmp_path):
    holds(name, tmp_path)


def test_the_depth_law_notices_a_wrong_rule(monkeypatch):
    """tanh with a rule that is 3 % too small: the measured slope leaves the tolerance."""
    wrong = Primitive(lambda x: np.tanh(x))
    wrong.vjp(x=lambda g, y: 0.97 * g * (1 - y * y))
    setting = next(s for s in e02_depth.SETTINGS if s.label == "tanh" and s.s_w2 == 1.0)
    broken = e02_depth.Setting("wrong tanh", wrong, setting.derivative, setting.s_w2, setting.s_b2)
    monkeypatch.setattr(e02_depth, "SETTINGS", [setting, broken])
    right, signal, planted, its_signal = e02_depth.run(OPTIONS, nothing).laws
    assert right.ok
    assert not planted.ok
    assert signal.ok
    assert its_signal.ok


def test_the_signal_notices_weights_that_are_three_per_cent_too_large(monkeypatch):
    forward = e02_depth.forward
    monkeypatch.setattr(e02_depth, "SETTINGS", [s for s in e02_depth.SETTINGS if s.label == "tanh"])
    monkeypatch.setattr(e02_depth, "forward", lambda s, weights, rng: forward(s, [1.03 * w for w in weights], rng))
    signal = [law for law in e02_depth.run(OPTIONS, nothing).laws if law.name.endswith("q*")]
    assert [law.ok for law in signal] == [False] * 5


def test_a_net_is_started_at_its_fixed_point():
    """From elsewhere it would come there by itself, and the slope would hardly tell."""
    for setting in e02_depth.SETTINGS:
        weights = [np.zeros((64, 64))]
        start, _ = e02_depth.forward(setting, weights, np.random.default_rng(0))
        np.testing.assert_allclose((start.numpy() ** 2).mean(axis=1), setting.q, rtol=1e-12)


def test_the_gain_law_notices_a_branch_of_the_wrong_gain(monkeypatch):
    block = e03_residual_gain.block
    monkeypatch.setattr(e03_residual_gain, "block", lambda x, w1, w2, m, a, **k: block(x, w1, w2 * 1.3, m, a, **k))
    laws = [law for law in e03_residual_gain.run(OPTIONS, nothing).laws if law.name.endswith("skip 1, branch 0.5")]
    assert len(laws) == 2
    assert not any(law.ok for law in laws)


def test_the_shortcuts_alone_are_noticed_to_be_scaled(monkeypatch):
    """One part in a million of the shortcut's scale, which no other law of E3 can see."""
    block = e03_residual_gain.block
    monkeypatch.setattr(e03_residual_gain, "SEEDS", 2)
    monkeypatch.setattr(e03_residual_gain, "block", lambda x, w1, w2, m, a, **k: block(x, w1, w2, m * 1.000001, a, **k))
    laws = {law.name: law.ok for law in e03_residual_gain.run(OPTIONS, nothing).laws}
    assert [ok for name, ok in laws.items() if "shortcuts alone" in name] == [False, False]


def test_errors_from_memory_say_so():
    assert "unchecked; not measured" in e03_residual_gain.published().note
