"""E9: the correlation of gradients at two inputs, and what breaks it."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.flow.theory import shattering
from tinyres.lab.laws import e09_figure
from tinyres.lab.laws import e09_shattering as e09
from tinyres.lab.registry import Options


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E9", tmp_path)
    white, deep, residual, brownian = (
        e09_figure.autocorrelation(np.array([result.data["over_line"][name]]), 2)[1]
        for name in ("white noise", "plain, 24 layers", "residual, 50 blocks", "Brownian noise")
    )
    assert max(abs(white), abs(deep)) < 0.2 < residual < brownian  # of 256 points: the error is 0.06


@pytest.fixture
def few(monkeypatch):
    for name, value in (("SEEDS", 2), ("PAIR_SEEDS", 2), ("PLAIN", (2, 3)), ("LINES", {})):
        monkeypatch.setattr(e09, name, value)


def test_the_laws_notice_statistics_that_are_no_constants(monkeypatch, few):
    monkeypatch.setattr(e09, "frozen", e09.exact)
    laws = {law.name: law for law in e09.run(Options(), lambda: None).laws}
    assert [law.ok for name, law in laws.items() if "frozen" in name] == [False, False, False]


@pytest.mark.slow
def test_the_exact_law_notices_frozen_statistics(monkeypatch, few):
    monkeypatch.setattr(e09, "exact", e09.frozen)
    (law,) = (law for law in e09.run(Options(), lambda: None).laws if law.kind == "check")
    assert not law.ok


@pytest.mark.slow
def test_the_law_without_batch_norm_notices_another_activation(monkeypatch, few):
    monkeypatch.setattr(tr, "relu", lambda x: tr.leaky_relu(x, 0.3))
    he = [law for law in e09.run(Options(), lambda: None).laws if "from ρ" in law.name]
    assert [law.ok for law in he] == [False]


OTHERS = [
    {"net": "he", "rho": 0.5, "depth": 5, "width": 512},
    {"net": "he", "rho": -0.3, "depth": 3, "width": 512},
    {"net": "residual", "depth": 8, "width": 128},
    {"net": "plain", "depth": 3, "width": 384},
]


@pytest.mark.parametrize("settings", OTHERS)
def test_the_law_at_other_settings(settings):
    result = lab.run("E9", **settings)
    (law,) = result.laws
    assert law.kind == "asymptotic"
    assert law.ok
    assert f"{law.measured:.4g}" in result.found


@pytest.mark.parametrize("settings", OTHERS)
def test_another_activation_is_noticed_at_other_settings(settings, monkeypatch):
    batch_norm = tr.batch_norm
    monkeypatch.setattr(tr, "relu", lambda x: tr.leaky_relu(x, 0.4))
    monkeypatch.setattr(tr, "batch_norm", lambda *x, relu, **how: tr.leaky_relu(batch_norm(*x, **how), 0.4))
    (law,) = lab.run("E9", **settings).laws
    assert not law.ok


def test_what_cannot_be_told_from_zero_has_no_verdict():
    result = lab.run("E9", net="plain", depth=18, width=64)
    assert [law.kind for law in result.laws] == ["figure"]
    assert "cannot be distinguished from zero" in result.found


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E9: rho=1 .*a number from -0.95 to 0.999 is needed"):
        lab.run("E9", rho=1)


def test_correlation_by_hand():
    g = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    pairs = [g[i] @ g[j] for i in range(3) for j in range(3) if i != j]
    assert e09.correlation(g) == pytest.approx(np.mean(pairs) / np.mean((g * g).sum(axis=1)))


def test_closed_forms():
    assert shattering.residual_frozen(40) == pytest.approx(0.110, abs=5e-4)
    assert shattering.he_init(0.9, 16) == pytest.approx(0.1635, abs=5e-5)
    assert shattering.he_init(1.0, 50) == pytest.approx(1.0)
    assert shattering.plain_frozen(3) == 0.125
    # the kernels against two correlated Gaussians
    x, z = np.random.default_rng(0).standard_normal((2, 1_000_000))
    y = 0.6 * x + 0.8 * z
    assert shattering.kappa0(0.6) == pytest.approx(2 * np.mean((x > 0) & (y > 0)), abs=3e-3)
    assert shattering.kappa1(0.6) == pytest.approx(2 * np.mean(np.maximum(x, 0) * np.maximum(y, 0)), abs=5e-3)
