"""E7: the distribution of |J^T u|² over random nets, and its closed forms against draws."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.flow.theory import finite_width
from tinyres.lab.laws import e07_finite_width as e07
from tinyres.lab.registry import Options


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E7", tmp_path)
    assert len(result.laws) == 15
    assert all(len(logs) == e07.NETS for logs in result.data.values())
    assert {law.kind for law in result.laws} == {"asymptotic"}


@pytest.mark.slow
def test_the_laws_notice_nets_without_relu(monkeypatch):
    """At their own critical scale they keep the mean of the square, too: only its logarithm tells them apart."""
    monkeypatch.setattr(e07, "CASES", e07.CASES[:1])
    monkeypatch.setattr(e07, "layer", lambda h, signs, w, kind: (h * signs * np.sqrt(0.5)) @ w)
    mean, *logarithm = e07.run(Options(), lambda: None).laws
    assert mean.ok
    assert not any(law.ok for law in logarithm)


def test_the_mean_notices_weights_one_per_cent_too_small(monkeypatch):
    right = e07.layer
    monkeypatch.setattr(e07, "CASES", e07.CASES[1:2])
    monkeypatch.setattr(e07, "layer", lambda h, signs, w, kind: right(h, signs, 0.99 * w, kind))
    assert not e07.run(Options(), lambda: None).laws[0].ok


OTHERS = [("relu", 80, 8), ("linear", 32, 10)]


@pytest.mark.parametrize(("activation", "width", "depth"), OTHERS)
def test_the_laws_at_other_settings(activation, width, depth):
    result = lab.run("E7", activation=activation, width=width, depth=depth)
    spread = {"relu": 5, "linear": 2}[activation] * depth / width
    assert [law.predicted for law in result.laws[1::2]] == pytest.approx([-spread / 2, spread])
    assert all(law.ok for law in result.laws)
    assert f"{result.laws[0].measured:.3g}" in result.found


def test_a_broken_activation_is_noticed_at_other_settings(monkeypatch):
    monkeypatch.setattr(tr, "relu", lambda x: 1.02 * tr.leaky_relu(x, 0.1))
    mean, *logarithm = lab.run("E7", activation="relu", width=80, depth=8).laws
    assert not mean.ok
    assert not any(law.ok for law in logarithm if "mean" in law.name)


def test_where_a_law_has_no_say_its_figure_is_shown():
    result = lab.run("E7", activation="relu", width=32, depth=32)
    mean, log, _, variance, _ = (law.kind for law in result.laws)
    assert (mean, log, variance) == ("figure", "asymptotic", "figure")
    assert "too rare to be among them" in result.found
    assert "only the law at this width is judged" in result.found
    assert all(law.ok for law in result.laws)


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E7: width=8 .*a whole number from 24 to 512 is needed"):
        lab.run("E7", width=8)


@pytest.mark.parametrize("kind", ["ReLU", "linear"])
def test_the_law_at_a_given_width_against_draws(kind):
    """One layer written out: a Gaussian vector, squared, summed over the units that a coin opens."""
    rng = np.random.default_rng(0)
    n, draws = 8, 400_000
    z = rng.standard_normal((draws, n))
    open_units = rng.random((draws, n)) < 0.5 if kind == "ReLU" else np.ones((draws, n))
    squared = finite_width.GAIN[kind] / n * (z * z * open_units).sum(axis=1)
    logs = np.log(squared[squared > 0])
    mean, variance = finite_width.exact(n, 1, kind)
    assert logs.mean() == pytest.approx(mean, abs=5e-3)
    assert logs.var() == pytest.approx(variance, rel=2e-2)
    # depth adds up, and wide nets follow the leading order
    assert finite_width.exact(n, 3, kind) == pytest.approx((3 * mean, 3 * variance), abs=2e-2)
    assert finite_width.exact(4096, 16, kind) == pytest.approx(finite_width.leading(4096, 16, kind), rel=2e-3)
