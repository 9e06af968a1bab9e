"""Saturation: the laws hold, and notice a loss of G that is another, and a D that is not the best."""

from dataclasses import replace

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import nn
from tinyres.flow.theory import saturation
from tinyres.gan.losses import LOSSES
from tinyres.lab import run
from tinyres.lab.players import e01_saturation as e01
from tinyres.lab.registry import Options, SettingError


def failures():
    return [law.name for law in e01.run(Options(), lambda: None).laws if not law.ok]


def test_every_law_holds(tmp_path):
    holds("E1", tmp_path)


def test_the_closed_forms_at_the_published_distances():
    found = [saturation.mean_score_of_fakes(d) for d in e01.DISTANCES]
    assert [f"{a:.4g}" for a in found] == ["0.398", "0.2248", "0.0343", "0.002076", "4.911e-05"]
    assert [round(saturation.value(d), 4) for d in e01.DISTANCES] == [-1.1635, -0.7126, -0.1209, -0.0077, -0.0002]
    assert saturation.value(0) == pytest.approx(-np.log(4), abs=1e-12)
    assert saturation.saturating(30) == pytest.approx(saturation.asymptote(30), rel=0.01)


def test_scale_moves_the_units_only():
    assert saturation.saturating(3, 0.5) == 2 * saturation.saturating(3)
    assert saturation.optimal_logit(3, 0.5) == (4.5, -6)


def test_the_non_saturating_loss_in_the_other_s_place_is_noticed(monkeypatch):
    monkeypatch.setitem(LOSSES, "saturating", LOSSES["nonsaturating"])
    found = failures()
    assert sum("saturating gradient" in name and "best" in name for name in found) == len(e01.DISTANCES)
    assert any("divided by its bound" in name for name in found)


def test_a_discriminator_one_part_in_a_million_off_is_noticed(monkeypatch):
    best = saturation.optimal_logit
    monkeypatch.setattr(saturation, "optimal_logit", lambda d, s=1.0: (best(d, s)[0] + 3e-6, best(d, s)[1]))
    found = failures()
    assert [f"d={d}, best D: saturating gradient" in found for d in e01.DISTANCES] == [True] * len(e01.DISTANCES)


def test_a_discriminator_that_stopped_early_is_noticed(monkeypatch):
    monkeypatch.setattr(e01, "NEWTON_STEPS", 3)
    assert "d=8, trained D: saturating gradient" in failures()


def test_a_layer_and_a_loss_of_d_that_are_wrong_are_noticed(monkeypatch):
    forward = nn.Linear.forward
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda self, x: 1.01 * forward(self, x))
        assert len([law for law in run("E1", d=4).laws if not law.ok]) >= 2
    heavier = replace(
        LOSSES["saturating"],
        discriminator=lambda real, fake: tr.mean(tr.softplus(-real)) + 1.1 * tr.mean(tr.softplus(fake)),
    )
    monkeypatch.setitem(LOSSES, "saturating", heavier)
    found = [law.name for law in run("E1", d=4).laws if not law.ok]
    assert found == ["d=4, trained D: saturating gradient", "d=4: V(D*) = -log 4 + 2 JSD"]


# -- at other settings ------------------------------------------------------------------------------------------------
SETTINGS = [
    {"d": 0.1, "loss": "nonsaturating"},
    {"d": 5.5, "loss": "saturating"},
    {"d": 10.0, "loss": "saturating"},
    {"d": 2.5, "loss": "wasserstein"},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_laws_hold_at_other_settings(settings):
    result = run("E1", **settings)
    assert [law.name for law in result.laws if not law.ok] == []
    assert f"d = {settings['d']:g}" in result.found


@pytest.mark.parametrize("settings", SETTINGS)
def test_another_loss_is_noticed_at_other_settings(settings, monkeypatch):
    monkeypatch.setitem(LOSSES, settings["loss"], LOSSES["least_squares"])
    assert [law for law in run("E1", **settings).laws if not law.ok and "gradient" in law.name]


def test_settings_out_of_range():
    with pytest.raises(SettingError, match=r"from 0\.05 to 10"):
        run("E1", d=11)
    with pytest.raises(SettingError, match="one of saturating"):
        run("E1", loss="hinge")
