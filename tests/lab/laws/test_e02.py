"""E2: the depth law of plain nets, at its own settings and at others, and what breaks it."""

import re

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.autograd.calling import define
from tinyres.lab.laws import e02_depth
from tinyres.lab.registry import Options

OPTIONS = Options()
QUICK = {"width": 128, "depth": 15}


def nothing() -> None:
    pass


@pytest.mark.parametrize("name", [pytest.param("E2", marks=pytest.mark.slow), "check"])
def test_every_law_holds(name, tmp_path):
    result = holds(name, tmp_path)
    if name == "E2":
        off = max(abs(law.measured - law.predicted) for law in result.laws if law.name.endswith("ln χ"))
        assert f"each layer's factor is within {100 * np.expm1(off):.2g} % of the predicted χ" in result.found


@pytest.mark.parametrize(
    ("activation", "s_w2", "s_b2"),
    [
        ("silu", 2.0, 0.3),
        ("elu", 1.3, 0.1),
        ("softplus", 0.5, 0.0),
        ("leaky_relu", 1.7, 0.0),
        ("relu", 1.4, 0.2),
        ("sigmoid", 9.0, 0.2),
        ("sigmoid", 150.0, 0.0),  # it explodes: its factor is 1 at 103
    ],
)
def test_the_law_at_other_settings(activation, s_w2, s_b2):
    result = lab.run("E2", activation=activation, s_w2=s_w2, s_b2=s_b2, **QUICK)
    assert [law.name for law in result.laws if not law.ok] == []
    assert len(result.laws) == (1 if activation == "leaky_relu" else 2)
    assert f"{np.exp(result.laws[0].measured):.4g}" in result.found


@pytest.mark.parametrize(
    ("activation", "s_w2", "words"), [("gelu", 1.5, "fixed point but 0"), ("softplus", 3.0, "fixed point but infinity")]
)
def test_where_there_is_no_fixed_point_the_way_is_followed(activation, s_w2, words):
    result = lab.run("E2", activation=activation, s_w2=s_w2, **QUICK)
    assert words in result.found
    assert [law.name.rpartition(": ")[2] for law in result.laws] == ["ln χ", "ln of the signal's factor"]
    assert all(law.ok for law in result.laws)
    alone = np.log(e02_depth.Case(activation, s_w2).chi)  # chi at the variance 1 that it starts with
    assert abs(result.laws[0].measured - alone) > 1.5 * result.laws[0].tolerance


def test_a_wrong_rule_is_noticed(monkeypatch):
    """tanh with a rule that is 3 % too small: the measured slope leaves the tolerance."""
    wrong = define(lambda x: np.tanh(x))
    wrong.vjp(x=lambda g, y: 0.97 * g * (1 - y * y))
    monkeypatch.setattr(tr, "tanh", wrong)
    gradient, signal = lab.run("E2", activation="tanh", s_w2=1.0, s_b2=0.05).laws
    assert not gradient.ok
    assert signal.ok


@pytest.mark.parametrize("name", ["gelu", "silu", "softplus", "elu"])
def test_a_wrong_activation_is_noticed_at_other_settings(name, monkeypatch):
    right = getattr(tr, name)
    monkeypatch.setattr(tr, name, lambda x: right(1.1 * x))
    assert not any(law.ok for law in lab.run("E2", activation=name, s_w2=1.4, s_b2=0.2, **QUICK).laws)


@pytest.mark.slow
def test_the_signal_notices_weights_that_are_three_per_cent_too_large(monkeypatch):
    forward = e02_depth.forward
    monkeypatch.setattr(e02_depth, "CASES", [c for c in e02_depth.CASES if c.activation == "tanh"])
    monkeypatch.setattr(e02_depth, "forward", lambda c, weights, rng: forward(c, [1.03 * w for w in weights], rng))
    signal = [law for law in e02_depth.run(OPTIONS, nothing).laws if law.name.endswith("q*")]
    assert [law.ok for law in signal] == [False] * 5


def test_a_net_is_started_at_its_fixed_point():
    """From elsewhere it would come there by itself, and the slope would hardly tell."""
    for case in e02_depth.CASES:
        start, _ = e02_depth.forward(case, [np.zeros((64, 64))], np.random.default_rng(0))
        np.testing.assert_allclose((start.numpy() ** 2).mean(axis=1), case.q, rtol=1e-12)


def test_the_prediction_runs_from_the_top_down():
    case = e02_depth.Case("gelu", 2.0)  # whose variance, and with it chi, falls from layer to layer
    chis = np.exp(np.diff(case.gradient(5)))
    assert chis[-1] == pytest.approx(case.chi)
    assert chis[0] < chis[-1]
    assert case.gradient(5)[0] == 0


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E2: activation=swish .* one of linear, relu, .* is needed"):
        lab.run("E2", activation="swish")


def test_the_figure_says_what_is_predicted_and_what_is_measured():
    from matplotlib.figure import Figure

    cases = [e02_depth.Case("tanh", s_w2, 0.05) for s_w2 in (1.0, 2.0)]
    curves = {case: case.gradient(e02_depth.DEPTH) for case in cases}
    figure = Figure()
    e02_depth.e02_figure.draw(figure, curves)
    left, right = figure.axes
    assert [text.get_text().partition(": ")[2][:14] for text in left.texts] == ["predicted χ = "] * 2
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["theory", "measured"]
    figure = Figure()
    e02_depth.e02_figure.draw_one(figure, {cases[0]: curves[cases[0]]})
    assert "predicted χ = " in figure.axes[0].get_legend().get_texts()[0].get_text()


def test_the_sentence_names_the_settings_that_its_numbers_depend_on():
    """Whoever sets them finds the same χ."""
    text = e02_depth.said_of({case: case.gradient(e02_depth.DEPTH) for case in e02_depth.CASES})
    s_b2, low, at_low, high, at_high = map(
        float, re.search(r"s_b² = (\S+), χ goes from (\S+) at s_w² = (\S+) to (\S+) at ([\d.]+);", text).groups()
    )
    for chi, s_w2 in ((low, at_low), (high, at_high)):
        assert e02_depth.Case("tanh", s_w2, s_b2).chi == pytest.approx(chi, rel=0.01)
    assert {case.s_b2 for case in e02_depth.CASES if (case.activation, case.s_w2) in e02_depth.OTHERS} == {0.0}
    assert text.endswith("both with s_b² = 0.")
