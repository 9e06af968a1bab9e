"""E16: nets train to a few times ξ, plain nets degrade; and the verdicts would notice if they did not."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.flow.experiments.experiment import Options
from tinyres.flow.experiments.trained import e16_degradation as degradation
from tinyres.flow.experiments.trained import e16_trainability as trainability
from tinyres.flow.measurement import plain

OPTIONS = Options()


def ticking(experiment):
    ticks = []
    result = experiment.run(OPTIONS, lambda: ticks.append(1))
    assert len(ticks) == experiment.ticks(OPTIONS)
    for draw in result.figures.values():
        figure = Figure(figsize=(11, 5))
        draw(figure)
        assert len(figure.axes) >= 2
    json.dumps(plain(result.data), allow_nan=False)
    return result


def planted(k):
    """Losses of nets that train exactly to k ξ."""
    scales = np.array([trainability.xi(s) for s in trainability.S_W2])
    return np.where(np.array(trainability.DEPTHS)[:, None] < k * scales, 0.1, np.log(10)), scales


# -- trainability -----------------------------------------------------------------------------------------------------
def test_the_depth_scale_is_that_of_theory():
    assert trainability.xi(1.0) == pytest.approx(3.63, abs=0.005)
    assert trainability.xi(1.5) == pytest.approx(15.8, abs=0.05)


@pytest.mark.parametrize(("k", "ok"), [(6, True), (1.8, False), (14, False)])
def test_the_median_k_is_what_was_planted(k, ok):
    losses, scales = planted(k)
    median, count, _ = trainability.laws(trainability.boundaries(losses), scales)
    assert median.measured == pytest.approx(k, rel=0.2)  # the grid's depths differ by √2
    assert (median.ok, count.measured >= 2) == (ok, True)
    exactly, _, power = trainability.laws(k * scales, scales)
    assert (exactly.measured, power.measured) == (pytest.approx(k), pytest.approx(1))


def test_a_boundary_outside_the_grid_is_none():
    shape = len(trainability.DEPTHS), len(trainability.S_W2)
    for losses in (np.zeros(shape), np.full(shape, 2.3), np.full(shape, np.nan)):
        reached = trainability.boundaries(losses)
        assert np.isnan(reached).all()
        assert not trainability.laws(reached, np.ones(shape[1]))[0].ok
    first_fails = np.zeros(shape)
    first_fails[3] = np.nan  # deeper ones train again: what counts is where it first ceases
    np.testing.assert_allclose(trainability.boundaries(first_fails), np.sqrt(8 * 11))


def test_training_ceases_between_two_and_ten_depth_scales(monkeypatch):
    monkeypatch.setattr(trainability, "DEPTHS", (6, 23))
    monkeypatch.setattr(trainability, "S_W2", (0.8, 1.5))
    result = ticking(trainability.EXPERIMENT)
    ordered, near_critical = result.data["boundary"]
    assert ordered == pytest.approx(np.sqrt(6 * 23))  # ξ = 2.3
    assert np.isnan(near_critical)  # ξ = 15.8: both depths train
    assert result.laws[0].ok


def test_nets_side_by_side_do_not_touch_each_other():
    pixels = trainability.flat(data.digits(seed=0).train)
    assert (pixels.inputs.mean(), pixels.inputs.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    both = trainability.train(4, (0.8, 3.0), pixels, (0, 0), 5)
    alone = [trainability.train(4, (s,), pixels, (0, 0), 5)[0] for s in (0.8, 3.0)]
    np.testing.assert_allclose(both, alone, rtol=1e-5)


# -- degradation ------------------------------------------------------------------------------------------------------
def finals(plain_deep=1.0, residual_deep=0.02, noise=0.01):
    means = {("plain", 20): 0.2, ("plain", 56): plain_deep, ("resnet", 20): 0.02, ("resnet", 56): residual_deep}
    rng = np.random.default_rng(0)
    return {net: mean + noise * rng.standard_normal(5) for net, mean in means.items()}


def verdicts(found):
    return [law.ok for law in degradation.laws(found) if law.kind == "ordering"]


def test_each_verdict_of_degradation_can_fail():
    assert verdicts(finals()) == [True, True]
    assert verdicts(finals(plain_deep=0.2)) == [False, True]  # a plain net that does not degrade
    assert verdicts(finals(residual_deep=0.5)) == [True, False]  # a residual net that does
    assert verdicts(finals(noise=3.0)) == [False, False]  # seeds that do not agree


def test_the_interval_is_students():
    from scipy import stats

    values = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert degradation.half_width(values) == pytest.approx((high - low) / 2, rel=1e-3)


def test_short_training_of_few_nets_degrades_already(monkeypatch):
    for name, value in (("DEPTHS", (8, 32)), ("STEPS", 50), ("SEEDS", 3)):
        monkeypatch.setattr(degradation, name, value)
    result = ticking(degradation.EXPERIMENT)
    assert result.laws[0].ok  # the plain nets; a residual net of 32 layers needs more than 50 steps to pass plain-8
    assert {len(losses) for found in result.data["train_loss"].values() for losses in found} == {50}
