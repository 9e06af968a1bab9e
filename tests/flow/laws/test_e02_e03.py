"""The first laws hold at their tolerances, and would not if the physics were wrong."""

import math

import numpy as np
import pytest

from tests.flow.holds import holds
from tinyres.autograd.primitive import Primitive
from tinyres.flow.experiments import Law, Options
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
    right, planted = e02_depth.run(OPTIONS, nothing).laws
    assert right.ok
    assert not planted.ok


def test_the_gain_law_notices_a_branch_of_the_wrong_gain(monkeypatch):
    block = e03_residual_gain.block
    monkeypatch.setattr(e03_residual_gain, "block", lambda x, w1, w2, m, a, **k: block(x, w1, w2 * 1.3, m, a, **k))
    laws = [law for law in e03_residual_gain.run(OPTIONS, nothing).laws if law.name.endswith("skip 1, branch 0.5")]
    assert len(laws) == 2
    assert not any(law.ok for law in laws)


def test_a_law_is_judged_by_its_kind():
    def law(measured, kind="asymptotic"):
        return Law("x", measured, 1.0, 0.1, kind, "")

    assert law(1.09).ok
    assert not law(1.11).ok
    assert not law(math.nan).ok
    assert law(1.11, "ordering").ok
    assert not law(1.09, "ordering").ok
    assert not law(math.nan, "ordering").ok
