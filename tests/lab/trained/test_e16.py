"""E16: nets train to a few times ξ, plain nets degrade; and the verdicts would notice if they did not."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinyres import data
from tinyres.flow.measurement import plain
from tinyres.lab.experiment import Options
from tinyres.lab.law import half_width
from tinyres.lab.trained import e16_degradation as degradation
from tinyres.lab.trained import e16_trainability as trainability
from tinyres.lab.trained.own_seeds import own_seeds

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


def judged(reached, scales):
    """The law, p before the critical net's end, and k, all at the judged rate."""
    return trainability.laws(np.tile(reached, (3, 1)), scales)[3:6]


# -- trainability -----------------------------------------------------------------------------------------------------
def test_the_depth_scale_is_that_of_theory():
    assert trainability.xi(1.0) == pytest.approx(3.63, abs=0.005)
    assert trainability.xi(1.5) == pytest.approx(15.8, abs=0.05)


@pytest.mark.parametrize(("p", "ok"), [(1, True), (0.36, True), (0.1, False)])
def test_the_power_is_what_was_planted(p, ok):
    _, scales = planted(1)
    law, before, k = judged(4 * scales**p, scales)
    assert law.measured == pytest.approx(p)
    assert before.measured == pytest.approx(p)
    assert (law.kind, law.ok) == ("ordering", ok)
    assert k.measured == pytest.approx(np.median(4 * scales[:-2] ** (p - 1)))
    assert 0.1 < law.tolerance < 0.3


@pytest.mark.parametrize("k", [2, 3, 6])
def test_the_grid_of_depths_keeps_the_power_within_its_tolerance(k):
    losses, scales = planted(k)
    law, _, median = judged(trainability.boundaries(losses), scales)
    assert law.measured == pytest.approx(1, abs=law.tolerance)
    assert median.measured == pytest.approx(k, rel=0.2)  # the grid's depths differ by √2


def test_nets_that_end_where_the_critical_net_does_can_be_left_out():
    _, scales = planted(1)
    ending_at_30 = np.minimum(5 * scales, 30)  # it is the steps that end what is deeper
    law, before, _ = judged(ending_at_30, scales)
    assert law.measured < 0.8
    assert before.measured == pytest.approx(1)


def test_what_has_failed_twice_is_not_trained_deeper(monkeypatch):
    """And nothing is lost: the boundary lies where training first ceases."""
    planned, _ = planted(3)
    trained = []

    def train(depth, s_w2, images, seed, steps, device, rates):
        trained.extend((depth, s, rate) for s, rate in zip(s_w2, rates, strict=True))
        row = planned[trainability.DEPTHS.index(depth)]
        return [row[trainability.S_W2.index(s)] for s in s_w2]

    monkeypatch.setattr(trainability, "train", train)
    losses = trainability.measure(data.digits(seed=0).train, OPTIONS, lambda: None)
    for found in losses:
        np.testing.assert_array_equal(trainability.boundaries(found), trainability.boundaries(planned))
    # 3 ξ = 6.9 at s_w² = 0.8: 8 and 11 layers fail
    assert [depth for depth, s, rate in trained if (s, rate) == (0.8, trainability.RATE)] == [4, 6, 8, 11]
    assert len(trained) < 0.8 * losses.size


def test_a_boundary_outside_the_grid_is_none():
    shape = len(trainability.DEPTHS), len(trainability.S_W2)
    for losses in (np.zeros(shape), np.full(shape, 2.3), np.full(shape, np.nan)):
        reached = trainability.boundaries(losses)
        assert np.isnan(reached).all()
        assert not judged(reached, np.ones(shape[1]))[0].ok
    first_fails = np.zeros(shape)
    first_fails[3] = np.nan  # deeper ones train again: what counts is where it first ceases
    np.testing.assert_allclose(trainability.boundaries(first_fails), np.sqrt(8 * 11))


@pytest.mark.slow
def test_training_ceases_later_at_a_larger_depth_scale(monkeypatch):
    monkeypatch.setattr(trainability, "DEPTHS", (6, 23))
    monkeypatch.setattr(trainability, "S_W2", (0.8, 1.5, 1.76))
    result = ticking(trainability.EXPERIMENT)
    ordered, near_critical, _ = result.data["boundary"][1]
    assert ordered == pytest.approx(np.sqrt(6 * 23))  # ξ = 2.3
    assert np.isnan(near_critical)  # ξ = 15.8: both depths train
    slow, _, _ = result.data["boundary"][0]
    assert np.isnan(slow)  # at a third of the rate six layers do not train either
    assert result.data["loss"][0, 0, 0] > trainability.TRAINED


def test_nets_side_by_side_do_not_touch_each_other():
    pixels = trainability.flat(data.digits(seed=0).train)
    assert (pixels.inputs.mean(), pixels.inputs.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    nets = [(0.8, 0.005), (3.0, 0.05), (0.8, 0.05)]
    variances, rates = zip(*nets, strict=True)
    together = trainability.train(4, variances, pixels, (0, 0), 10, rates=rates)
    alone = [trainability.train(4, (s,), pixels, (0, 0), 10, rates=(rate,))[0] for s, rate in nets]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert together[2] < together[0]  # of the same net: the larger rate


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


def test_degradations_laws_are_the_same_at_every_seed():
    """Their names are what `--seeds` gathers them by; what was measured stands in the sentence."""
    names = [[law.name for law in degradation.laws(finals(noise=noise))] for noise in (0.01, 0.02)]
    assert names[0] == names[1]
    less = finals()["resnet", 56] - finals()["resnet", 20]
    said = f"ResNet-56's minus ResNet-20's is {less.mean():+.2g} ± {half_width(less):.2g}."
    assert said in degradation.found(finals())


def test_the_interval_is_students():
    from scipy import stats

    values = np.array([0.1, 0.4, 0.2, 0.7, 0.3])
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2)


def test_no_two_seeds_share_a_net():
    seeds = [seed for given in range(4) for seed in own_seeds(given, 5)]
    assert seeds == list(range(20))


@pytest.mark.slow
def test_short_training_of_few_nets_degrades_already(monkeypatch):
    for name, value in (("DEPTHS", (8, 26)), ("STEPS", 40), ("SEEDS", 3)):
        monkeypatch.setattr(degradation, name, value)
    result = ticking(degradation.EXPERIMENT)
    assert result.laws[0].ok  # the plain nets; a residual net of 26 layers needs more than 40 steps to pass plain-8
    assert {len(losses) for found in result.data["train_loss"].values() for losses in found} == {40}
