"""E6: concatenating keeps the gradient, summing doubles it; both laws notice wrong weights, at any settings."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.flow.theory import dense
from tinyres.lab.laws import e06_densenet as e06
from tinyres.lab.registry import Options

OTHERS = [{"k0": 20, "k": 6, "depth": 10}, {"k0": 48, "k": 20, "depth": 6}]


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E6", tmp_path)
    side_by_side, geometric, logarithm, summed = result.laws
    assert geometric.measured < side_by_side.measured
    assert logarithm.measured == pytest.approx(np.log(summed.measured))
    assert logarithm.tolerance < 20 * np.log(1.05)  # tighter than 5 % a layer


@pytest.mark.slow
def test_both_laws_notice_weights_that_are_a_tenth_too_large(monkeypatch):
    right = e06.he_layer
    monkeypatch.setattr(e06, "he_layer", lambda x, features, rng: 1.1 * right(x, features, rng))
    laws = e06.run(Options(), lambda: None).laws
    assert [law.ok for law in laws if law.kind != "figure"] == [False, False]


@pytest.mark.parametrize("settings", OTHERS)
def test_the_laws_at_other_settings(settings):
    result = lab.run("E6", **settings)
    side_by_side, _, logarithm, _ = result.laws
    assert side_by_side.predicted == pytest.approx(1 + settings["k"] * settings["depth"] / settings["k0"])
    assert logarithm.predicted == pytest.approx(settings["depth"] * np.log(2))
    assert side_by_side.ok
    assert logarithm.ok
    assert f"{side_by_side.measured:.3g}" in result.found


@pytest.mark.parametrize("settings", OTHERS)
def test_broken_parts_are_noticed_at_other_settings(settings, monkeypatch):
    monkeypatch.setattr(tr, "relu", lambda x: tr.leaky_relu(x, 0.9))
    laws = lab.run("E6", **settings).laws
    assert [law.ok for law in laws if law.kind != "figure"] == [False, False]


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E6: k=0 \(new features a layer\): a whole number from 1 to 32 is needed"):
        lab.run("E6", k=0)


def test_closed_forms():
    ratio = dense.concatenating(32, 12, 20)
    m = 32 + 12 * np.arange(20)
    assert ratio[-1] == 8.5
    np.testing.assert_allclose(ratio[1:], np.cumprod(1 + 12 / m))
    assert dense.summing(20)[-1] == 2**20
