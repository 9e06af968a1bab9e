"""Every claim's verdict holds, and would not if the claim were true or the library wrong."""

import math
import re

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import data, nn
from tinyres.autograd.calling import define
from tinyres.lab.claims import (
    adversarial,
    backprop,
    batch_norm,
    densenet,
    late_shortcut,
    listings,
    mse_metric,
    nonlinearity,
    own_argmax,
    shared_norm,
    vanish,
)
from tinyres.lab.registry import ROOMS, Options

OPTIONS = Options()


def nothing() -> None:
    pass


def failures(module):
    return [law.name for law in module.run(OPTIONS, nothing).laws if not law.ok]


SHORT, FULL = 1, pytest.mark.slow  # seconds that an experiment says it takes; each of the faults below runs one, too


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=FULL if e.seconds > SHORT else ()) for name, e in ROOMS["claims"].items()]
)
def test_every_verdict_holds(name, tmp_path, monkeypatch):
    if name == "claim-batch-norm":  # 32 blocks, and test losses that have no verdict, take two thirds of half a minute
        monkeypatch.setattr(batch_norm, "BLOCKS", (2, 8, 16))
        monkeypatch.setattr(batch_norm, "RATE_SEEDS", 3)
        monkeypatch.setattr(batch_norm, "GAP_SEEDS", 2)
        monkeypatch.setattr(batch_norm, "RATES", batch_norm.RATES[1::2])
    experiment, result = ROOMS["claims"][name], holds(name, tmp_path)
    assert experiment.question.endswith("?")
    assert experiment.varies
    assert experiment.conditions
    assert re.search(r"\d", result.found), "what was found has a number"
    if name == "claim-mse":
        assert len(result.laws) == 8
        assert np.argmin(result.data["mse"]) == 0
        assert np.argmin(result.data["frechet"]) == len(mse_metric.SHRINK) - 1
    if name == "claim-no-bad-basins":
        assert len(result.laws) == 2 * 4 + 1


def test_theorems_do_not_count_as_laws():
    for module in (adversarial, listings):
        assert {law.kind for law in module.run(OPTIONS, nothing).laws} == {"check"}


def wrong_tanh(factor):
    wrong = define(lambda x: np.tanh(x))
    wrong.vjp(x=lambda g, y: factor * g * (1 - y * y))
    return wrong


def test_backprop_notices_a_gradient_that_is_too_small(monkeypatch):
    """3 % in each layer: the slopes leave their tolerance, and the complex step disagrees."""
    monkeypatch.setattr(backprop.tr, "tanh", wrong_tanh(0.97))
    reverse, stepped = backprop.exactness(0)
    assert not math.isclose(reverse, stepped, rel_tol=1e-9)


def test_nonlinearity_notices_a_linear_net_that_does_not_vanish(monkeypatch):
    linear, *others = nonlinearity.SETTINGS
    unit = nonlinearity.Case(linear.activation, 1.0)
    monkeypatch.setattr(nonlinearity, "SETTINGS", [unit, *others])
    assert any(name.startswith("orders of magnitude") for name in failures(nonlinearity))


def test_adversarial_notices_a_net_that_is_moved_by_two_losses(monkeypatch):
    """Half of the weights climb what the others descend: then the field has no potential."""
    field = adversarial.residual_field
    signs = np.repeat([1.0, -1.0], adversarial.BLOCKS * adversarial.FEATURES**2)

    def torn(x, target):
        return lambda theta: field(x, target)(theta) * signs

    monkeypatch.setattr(adversarial, "residual_field", torn)
    assert "residual net: asymmetry of the update field's Jacobian" in failures(adversarial)


def test_adversarial_notices_a_game_in_which_both_pull_the_same_way(monkeypatch):
    field, same = adversarial.dirac_field, np.array([-1.0, 1.0])
    monkeypatch.setattr(adversarial, "dirac_field", lambda point: field(point) * same)
    assert len(failures(adversarial)) == 3


def test_argmax_notices_a_net_that_does_learn(monkeypatch):
    train = own_argmax.train
    monkeypatch.setattr(own_argmax, "SEEDS", 2)
    monkeypatch.setattr(own_argmax, "train", lambda seed, split, *, real, device: train(seed, split, real=True))
    assert failures(own_argmax) == ["its own argmax on noise: accuracy on real digits"]


def test_the_late_shortcut_notices_a_true_one_in_its_place(monkeypatch):
    monkeypatch.setattr(late_shortcut, "late_block", late_shortcut.true_block)
    assert len(failures(late_shortcut)) == 1


def test_the_late_shortcut_notices_that_the_identity_is_scaled(monkeypatch):
    block = late_shortcut.true_block
    monkeypatch.setattr(late_shortcut, "true_block", lambda x, **w: block(x, **w) - 0.02 * x)
    assert len(failures(late_shortcut)) == 1


@pytest.mark.slow
def test_the_shared_norm_notices_a_skip_in_the_listing(monkeypatch):
    def forward(self, x):
        for conv in self.convs:
            x = x + self.norm(conv(x), relu=True)
        return x

    monkeypatch.setattr(shared_norm.Listing, "forward", forward)
    found = failures(shared_norm)
    assert "branches zeroed: |listing(x)|" in found
    assert any("running mean" in name for name in found)


@pytest.mark.slow
def test_the_shared_norm_notices_norms_that_are_not_shared(monkeypatch):
    def own(channels, features, rng):
        return shared_norm.Residuals(channels, rng)

    monkeypatch.setattr(shared_norm, "first_failure", lambda rng: "64 128")
    monkeypatch.setattr(shared_norm, "mixture_error", lambda model, x: 0.0)
    monkeypatch.setattr(shared_norm, "variance_ratios", lambda model, x: np.ones(shared_norm.DEPTH))
    monkeypatch.setattr(shared_norm, "Listing", own)
    assert len(failures(shared_norm)) == 3  # not zero, as many parameters, and as good in evaluation


def test_the_shared_variance_is_the_mixture_of_the_layers():
    """With settled weights w_j and an even batch, sum_j w_j ratio_j is 1 (n / (n - 1) aside, that is unbiased)."""
    x = np.random.default_rng(0).standard_normal((shared_norm.BATCH, 4, 8, 8))
    model = shared_norm.Listing([4] * 4, 4, np.random.default_rng(1)).to("float64")
    shared_norm.train_against_eval(model, x)
    weights = 0.1 * 0.9 ** np.array([2, 1, 0])
    n = shared_norm.BATCH * 8 * 8
    assert weights @ shared_norm.variance_ratios(model, x) / weights.sum() == pytest.approx((n - 1) / n, rel=1e-6)


@pytest.mark.slow
def test_vanish_notices_an_identity_path_that_leaks(monkeypatch):
    """Without its shortcut the batch-normed net explodes; with 0.9 of it the one without norm grows by less than 2."""
    fill = vanish.Net.fill
    monkeypatch.setattr(vanish.Net, "fill", lambda self, weights, m, a: fill(self, weights, 0.9 * m, a))
    monkeypatch.setattr(vanish.e04, "residual", lambda x, w, layers: vanish.e04.plain(x, w))
    found = failures(vanish)
    assert "no norm, x + F(x): squared gain per block" in found
    assert any(name.startswith("batch norm") and name.endswith("54 blocks") for name in found)


def test_listings_notice_one_that_runs_and_a_mend_that_does_not(monkeypatch):
    good = listings.LISTINGS[-1]
    swapped = listings.Listing(good.wrong, good.runs, good.mentions, good.fix, good.fails)
    monkeypatch.setattr(listings, "LISTINGS", [swapped])
    assert len(failures(listings)) == 2


def test_a_listing_fails_in_the_same_words_whatever_ran_before():
    first = listings.error_of(listings.LISTINGS[0], 0)
    assert "retain_graph=True" in first
    assert first == listings.error_of(listings.LISTINGS[0], 0)


def test_batch_norm_says_nan_where_the_training_loss_is_not_reached(monkeypatch):
    monkeypatch.setattr(batch_norm, "AT_MOST", 2)
    split = data.digits()
    assert all(math.isnan(found) for found in batch_norm.held_out(split.train[:20], split.test, (0, 0), norm=True))


def test_batch_norm_demands_more_than_the_seeds_differ(monkeypatch):
    """Nets that train or not whatever their norm: no sign is left."""
    rates = iter([0.1, 0.01, 0.01, 0.1, 0.1] * 6)
    monkeypatch.setattr(batch_norm, "largest_rate", lambda blocks, train, seed, *, norm, device: next(rates))
    monkeypatch.setattr(batch_norm, "held_out", lambda few, test, seed, *, norm, device: (1.0, 0.5))
    assert [name.split(",")[0] for name in failures(batch_norm)] == [
        "deepest net that trains",
        "log₁₀ of largest rate",
    ]


def test_deepest():
    assert list(batch_norm.deepest(np.array([[0.1, 0.1, 0.0], [0.1, 0.1, 0.1], [0.0, 0.0, 0.0]]))) == [8, 32, 0]


def test_the_densenet_claim_notices_a_net_that_sums(monkeypatch):
    ways = densenet.e06.WAYS
    swapped = {"concatenated": ways["summed"], "summed": ways["concatenated"]}
    monkeypatch.setattr(densenet.e06, "WAYS", swapped)
    monkeypatch.setattr(densenet, "CHUNKS", 2)
    assert len(failures(densenet)) == 2


def test_the_densenet_claim_counts_by_hand():
    """3x3, 2 -> 5 channels on 32x32 pixels, then batch norm: what is kept and multiplied."""
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False, rng=0), nn.BatchNorm2d(5), nn.ReLU())
    counts = densenet.counted(model)
    assert counts == {"parameters": 135 + 10, "activations kept": 2 * 5 * 1024, "multiplications": 135 * 1024}


def test_batch_norm_notices_a_branch_without_it(monkeypatch):
    monkeypatch.setattr(batch_norm, "largest_rate", lambda blocks, train, seed, *, norm, device: 1.0 if norm else 0.01)
    monkeypatch.setattr(batch_norm, "held_out", lambda few, test, seed, *, norm, device: (1.0, 0.5))
    monkeypatch.setattr(batch_norm.e04, "layer", lambda x, w: (tr.relu(x) * batch_norm.e04.HE) @ w)
    assert failures(batch_norm) == [
        "BN: l times the branch's share in block l, mean",
        "deepest net that trains, blocks: BN - none",
    ]
