"""The predictions drawn on the page: closed forms of flow.theory, held against many nets at their initial weights."""

import numpy as np
import pytest

from tinyres.flow.theory import dense, gates, mean_field, normalised
from tinyres.flow.theory.activations import ACTIVATIONS
from tinyres.play import laws
from tinyres.play.messages import full
from tinyres.play.net_run import NetRun

WIDE = {"width": 256, "depth": 6, "data": "digits", "batch": 32}


def law(**setting):
    return laws.law(full("net", setting), 1.0)


def squares(found):
    return np.square(found)


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_plain_nets_take_chi_per_layer(activation):
    phi, found = ACTIVATIONS[activation], law(architecture="plain", activation=activation, depth=9, s_w2=1.3, s_b2=0.1)
    variances = mean_field.variances(1.3 * 1.0 + 0.1, 9, phi.value, 1.3, 0.1)
    chis = [mean_field.chi(v, phi.slope, 1.3) for v in variances[2:]]
    factors = squares(found.gradient)[:-1] / squares(found.gradient)[1:]
    np.testing.assert_allclose(factors, chis, rtol=1e-12)
    second = [mean_field.gaussian_mean(lambda z, v=v: phi.value(np.sqrt(v) * z) ** 2) for v in variances[1:]]
    np.testing.assert_allclose(squares(found.signal), np.array(second) / second[0], rtol=1e-12)


@pytest.mark.parametrize(("skip", "branch"), [(1.0, 1.0), (1.0, 0.3), (0.5, 0.5), (0.0, 0.5)])
@pytest.mark.parametrize("kind", ["residual", "preact"])
def test_residual_nets_take_skip_plus_branch_squared(kind, skip, branch):
    found = law(architecture=kind, depth=7, skip=skip, branch=branch)
    expected = (skip**2 + branch**2) ** np.arange(6, -1, -1.0)
    np.testing.assert_allclose(squares(found.gradient), expected, rtol=1e-4)  # by a quadrature
    np.testing.assert_allclose(squares(found.signal), expected[::-1], rtol=1e-4)


def test_a_formula_can_be_read_in_one_way():
    """What is multiplied stands in brackets, and what is not a knob is explained."""
    told = lambda **setting: law(depth=5, **setting).formula
    assert (
        told(branch=1.0)
        == "each block multiplies the squared gradient by (skip² + branch²); at the last block that is 2"
    )
    assert "by (skip² + branch² · χ_F), where χ_F is the factor of the branch alone;" in told(activation="sigmoid")
    assert "by ((1 − T)² + T²" in told(architecture="highway")
    assert "by (skip² + branch² (1 − 2/batch)/q), where q is" in told(architecture="preact", norm="batch")
    assert "by (π/(π − 1)) · (1 − 2/batch) =" in told(architecture="plain", norm="batch")


def test_skipinit_and_highway():
    np.testing.assert_allclose(squares(law(architecture="skipinit", alpha=0.5, depth=3).gradient), [1.5625, 1.25, 1.0],
                               rtol=1e-4)  # fmt: skip
    found = squares(law(architecture="highway", gate_bias=-1.0, depth=3).gradient)
    np.testing.assert_allclose(found[:-1] / found[1:], gates.highway_gain(-1.0), rtol=1e-4)


def test_densely_connected_nets_keep_the_whole():
    """Per feature the squared gradient grows as theory says; over all features it stays."""
    found = law(architecture="densenet", width=16, growth=4, depth=10)
    features = 16 + 4 * np.arange(1, 11)
    growth = dense.concatenating(16, 4, 10)
    np.testing.assert_allclose(squares(found.gradient) / features * features[-1], growth[-1] / growth[1:], rtol=1e-12)
    assert law(architecture="densenet", s_w2=1.0) is None


def test_batch_norm():
    found = squares(law(architecture="plain", norm="batch", batch=100, depth=5).gradient)
    np.testing.assert_allclose(found[:-1] / found[1:], normalised.plain_gain() * 0.98, rtol=1e-12)
    found = squares(law(architecture="preact", norm="batch", batch=100, depth=5, branch=0.7).gradient)
    growth = normalised.block_gains(5, 1.0, 0.7 / np.sqrt(2.0), batch=100)
    np.testing.assert_allclose(found, growth[-1] / growth[1:], rtol=1e-12)


@pytest.mark.parametrize(
    "setting",
    [
        {"family": "conv"}, {"norm": "layer"}, {"norm": "batch"}, {"norm": "batch", "architecture": "densenet"},
        {"norm": "batch", "architecture": "plain", "activation": "tanh"},
    ],
)  # fmt: skip
def test_where_there_is_no_closed_form_there_is_no_line(setting):
    assert law(**setting) is None


MEASURED = [
    {"architecture": "plain"}, {"architecture": "plain", "s_w2": 1.0}, {"architecture": "plain", "activation": "tanh"},
    {"architecture": "plain", "activation": "gelu"}, {"architecture": "plain", "activation": "sigmoid", "s_w2": 4.0},
    {"architecture": "plain", "activation": "tanh", "s_w2": 1.5, "s_b2": 0.2},
    {"architecture": "residual", "branch": 1.0}, {"architecture": "residual", "branch": 0.5, "skip": 0.8},
    {"architecture": "residual", "branch": 0.5, "activation": "tanh", "s_b2": 0.1},
    {"architecture": "preact", "branch": 0.7}, {"architecture": "preact", "branch": 0.7, "activation": "elu"},
    {"architecture": "skipinit", "alpha": 0.5}, {"architecture": "skipinit", "alpha": 0.5, "activation": "tanh"},
    {"architecture": "highway", "gate_bias": -1.0}, {"architecture": "highway", "activation": "tanh"},
    {"architecture": "densenet", "growth": 16},
]  # fmt: skip


# Each architecture once, and two activations more; the others are slow tests.
BRIEF = [MEASURED[k] for k in (0, 2, 3, 7, 9, 11, 13, 15)]


@pytest.mark.parametrize(
    "setting",
    [pytest.param(each, marks=[] if each in BRIEF else pytest.mark.slow, id=str(k)) for k, each in enumerate(MEASURED)],
)
def test_measured_nets_obey_their_law(setting):
    """The mean over ten nets, of the squared norms at the first block and the last, is the predicted one to 15 %."""
    ratios, signals = [], []
    for seed in range(10):
        run = NetRun(full("net", WIDE | setting | {"seed": seed}))
        figures = run.measure()
        ratios.append(squares(figures["gradient"]))
        signals.append(squares(figures["signal"]))
    gradient, signal = np.mean(ratios, axis=0), np.mean(signals, axis=0)
    assert gradient[0] / gradient[-1] == pytest.approx(run.law.gradient[0] ** 2, rel=0.15)
    if run.law.signal is not None:
        assert signal[-1] / signal[0] == pytest.approx(run.law.signal[-1] ** 2, rel=0.15)


def test_the_gap_is_the_largest_distance_from_the_line():
    run = NetRun(full("net", WIDE | {"architecture": "plain", "width": 16}))
    figures = run.measure()
    gaps = np.log10(np.array(figures["gradient"]) / figures["gradient"][-1] / run.law.gradient)
    assert figures["law_gap"] == pytest.approx(np.abs(gaps).max(), rel=1e-12)
    assert figures["law_gap"] > 0.01


def test_narrow_nets_are_further_from_the_law_than_wide_ones():
    """It is a law of wide nets: log |gradient|² of n units spreads by about 5 / n a layer."""
    gaps = {n: [] for n in (8, 128)}
    for seed in range(12):
        for width, found in gaps.items():
            setting = WIDE | {"architecture": "plain", "width": width, "depth": 10, "seed": seed}
            found.append(NetRun(full("net", setting)).measure()["law_gap"])
    assert np.median(gaps[8]) > 1.5 * np.median(gaps[128])


def test_batch_norms_explosion_is_measured():
    run = NetRun(full("net", WIDE | {"architecture": "plain", "norm": "batch", "batch": 256, "depth": 20}))
    figures = run.measure()
    assert figures["gradient"][0] / figures["gradient"][-1] == pytest.approx(run.law.gradient[0], rel=0.4)


@pytest.mark.parametrize(("width", "depth"), [(16, 8), (32, 20), (64, 20)])
def test_most_nets_lie_within_the_scatter_that_is_told(width, depth):
    """A law is of the mean square: one narrow net is off it, and by how much is said."""
    setting = WIDE | {"architecture": "plain", "width": width, "depth": depth}
    runs = [NetRun(full("net", setting | {"seed": seed})) for seed in range(20)]
    ratios = [run.measure()["gradient"] for run in runs]
    gaps = np.array([abs(np.log(g[0] / g[-1] / run.law.gradient[0])) for g, run in zip(ratios, runs, strict=True)])
    told = np.log(runs[0].law.scatter)
    assert told == pytest.approx((5 * (depth - 1) / width / 2 + np.sqrt(5 * (depth - 1) / width)) / 2)
    assert np.mean(gaps < told) > 2 / 3
    assert gaps.max() > told / 2, "and no wider than it must be"


def test_scatter_is_told_where_it_is_known():
    plain = WIDE | {"architecture": "plain", "width": 32, "depth": 4}
    known = lambda **changed: NetRun(full("net", plain | changed)).law.scatter
    assert known() is not None
    assert known(activation="tanh") is None
    assert known(architecture="residual") is None
