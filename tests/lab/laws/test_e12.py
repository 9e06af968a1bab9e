"""Dynamical isometry: the laws hold, and notice weights that are not orthogonal."""

import numpy as np
import pytest

from tests.lab.holds import drawn_once, holds
from tinyres import lab
from tinyres.flow.theory import isometry
from tinyres.lab.laws import e12_isometry as e12
from tinyres.lab.registry import Options, SettingError

OPTIONS = Options()


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E12", tmp_path)
    for case, values in result.data["singular_values"].items():  # the spread does not see the scale
        assert np.mean(np.square(values)) == pytest.approx(1, abs=0.3), case
    assert "After 8 layers" in result.found


def test_the_closed_form():
    found = [isometry.spread(8, orthogonal=o, active=a) for a in (1.0, 0.5) for o in (False, True)]
    assert found == [8, 0, 16, 8]


def test_the_jacobian_is_the_product_of_its_layers():
    layers = e12.weights(False, np.random.default_rng(5))[:3]
    product = np.linalg.multi_dot([w.numpy() for w in layers])
    found = e12.jacobian(layers, 1.0, np.random.default_rng(6))
    np.testing.assert_allclose(found, product.T, atol=1e-12)
    np.testing.assert_allclose(e12.singular_values(found)[::-1], np.linalg.svd(product, compute_uv=False), atol=1e-7)


def gaussian(w, rng):
    return e12.init.normal_(w, std=len(w) ** -0.5, rng=rng)


def test_weights_that_are_not_orthogonal_are_noticed(monkeypatch):
    """Gaussian weights wherever orthogonal ones are asked for: a spread of L where 0 is predicted, 2 L where L is."""
    monkeypatch.setattr(e12.init, "orthogonal_", gaussian)
    monkeypatch.setattr(e12, "SEEDS", 10)
    failed = [law.name for law in e12.run(OPTIONS, lambda: None).laws if not law.ok]
    assert sum("orthogonal" in name for name in failed) == 4


OTHER = [
    {"width": 64, "depth": 3, "activation": "relu", "ensemble": "gaussian"},
    {"width": 96, "depth": 6, "activation": "linear", "ensemble": "gaussian"},
    {"width": 80, "depth": 5, "activation": "relu", "ensemble": "orthogonal"},
    {"width": 40, "depth": 20, "activation": "linear", "ensemble": "orthogonal"},
]


@pytest.mark.parametrize("settings", OTHER)
def test_other_nets(settings):
    result = lab.run("E12", **settings)
    (law,) = result.laws
    assert law.kind != "figure"
    assert law.ok
    assert f"{settings['depth']} layers" in result.found
    assert f"{law.predicted:g} in theory" in result.found


@pytest.mark.parametrize("settings", OTHER[2:])
def test_wrong_weights_are_noticed_in_other_nets(settings, monkeypatch):
    monkeypatch.setattr(e12.init, "orthogonal_", gaussian)
    assert not lab.run("E12", **settings).laws[0].ok


def test_a_relu_that_lets_all_units_through_is_noticed(monkeypatch):
    monkeypatch.setattr(e12.tr, "relu", lambda x: x)
    assert not lab.run("E12", **OTHER[0]).laws[0].ok


def test_a_net_too_narrow_for_its_depth_has_no_verdict():
    result = lab.run("E12", width=32, depth=16)
    assert [law.kind for law in result.laws] == ["figure"]
    assert "no test of the law" in result.found
    assert "from width 128 on" in result.found


@pytest.mark.parametrize("wrong", [{"width": 15}, {"depth": 33}, {"activation": "tanh"}, {"ensemble": "uniform"}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        lab.run("E12", **wrong)


def test_the_picture_of_one_case(tmp_path):
    result = lab.run("E12", width=24, depth=3)
    assert drawn_once(result.figures[""], tmp_path / "e12.png").stat().st_size > 1000
