"""E3: the gain of residual blocks, at its own settings and at others, and what breaks it."""

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres import lab, nn
from tinyres.flow.theory import finite_width
from tinyres.lab.laws import e03_nets
from tinyres.lab.laws import e03_residual_gain as e03

QUICK = {"width": 96, "depth": 5, "nets": 60}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E3", tmp_path)
    assert [law.kind for law in result.laws].count("check") == 3
    for law in result.laws:  # the noise of 100 nets is below what the law demands
        if law.kind == "asymptotic" and "skip 1" in law.name:
            assert law.tolerance <= (0.25 if "branch 1" in law.name else 0.08) * law.predicted * (1 + 1e-12)


@pytest.mark.parametrize(("m", "a"), [(0.7, 0.9), (1.2, 0.2), (0.0, 1.0)])
def test_the_law_at_other_settings(m, a):
    result = lab.run("E3", m=m, a=a, **QUICK)
    gains = [law for law in result.laws if law.kind == "asymptotic"]
    assert [law.predicted for law in gains] == pytest.approx(2 * [(m * m + a * a) ** 5])
    assert all(law.ok for law in result.laws)
    assert f"{gains[1].measured:.4g}" in result.found


def scaled(monkeypatch, layer, factor):
    """The layer's result times a factor."""
    right = layer.forward
    monkeypatch.setattr(layer, "forward", lambda self, *x, **k: right(self, *x, **k) * factor)


def two_shortcuts(self, x, relu=False):
    shortcut = x if self.shortcut is None else self.shortcut(x)
    y = self.branch(x) + 2 * shortcut
    y.node.roles = ("branch", "skip")
    return y


def roles_exchanged(self, x, relu=False):
    y = self.branch(x) + (x if self.shortcut is None else self.shortcut(x))
    y.node.roles = ("skip", "branch")
    return y


FAULTS = {
    "weights 10 % too large": (lambda patch: scaled(patch, nn.Linear, 1.1), "backward gain"),
    "no ReLU": (lambda patch: patch.setattr(nn.ReLU, "forward", lambda self, x: x), "forward gain"),
    "the shortcut twice": (lambda patch: patch.setattr(nn.Residual, "forward", two_shortcuts), "backward gain"),
    "scales off by 1e-6": (lambda patch: scaled(patch, nn.Scale, 1.000001), "skip connections alone"),
    "routes exchanged": (
        lambda patch: patch.setattr(nn.Residual, "forward", roles_exchanged),
        "skip connections alone",
    ),
    "the split": (lambda patch: patch.setattr(nn.Residual, "forward", two_shortcuts), "split at the input"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_layer_is_noticed(fault, monkeypatch):
    plant, name = FAULTS[fault]
    plant(monkeypatch)
    laws = [law for law in lab.run("E3", **QUICK).laws if name in law.name]
    assert laws
    assert not any(law.ok for law in laws)


def test_the_finite_width_term_against_draws_of_one_block():
    n, nets = 64, 50_000
    rng = np.random.default_rng(0)
    hidden = (np.maximum(rng.standard_normal((nets, n)), 0) ** 2).sum(axis=1) * 2 / n  # |relu(W1 x)|² at |x|² = 1
    along, across = rng.standard_normal(nets), rng.chisquare(n - 1, nets)  # W2 of it: along x, and in all other units
    for m, a in ((1.0, 1.0), (1.0, 0.5), (0.0, 0.7)):
        square = (m + a * np.sqrt(hidden / n) * along) ** 2 + a * a * hidden / n * across
        assert square.mean() == pytest.approx(m * m + a * a, rel=5e-3)
        shift = np.log(square).mean() - np.log(m * m + a * a)
        assert shift == pytest.approx(finite_width.residual_shift(m, a, n, 1), rel=0.12)
    assert finite_width.residual_shift(1.0, 0.5, 128, 20) == pytest.approx(
        10 * finite_width.residual_shift(1, 0.5, 64, 1)
    )


def test_nets_that_share_their_numbers_are_nets_of_their_own():
    one, two = (
        draw.weights[0, 0] for draw, _ in zip(e03_nets.Draw.some((0,), e03_nets.Shape(128, 1)), range(2), strict=False)
    )
    assert np.array_equal(np.abs(one), np.abs(two))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.03
    assert one.var() == pytest.approx(2 / 128, rel=0.05)


def test_all_cases_in_one_pass_are_each_case_by_itself():
    net, draw = e03_nets.Net(32, 3), e03_nets.Draw.of((0,), e03_nets.Shape(32, 3))
    cases = [(1.0, 0.5), (0.3, 1.1)]
    together = e03.gains(net, cases, draw)
    for k, case in enumerate(cases):
        np.testing.assert_allclose(e03.gains(net, [case], draw)[..., 0], together[..., k], rtol=1e-10)
    x = draw.x
    for w1, w2 in draw.weights:
        x = 0.3 * x + 1.1 * np.maximum(x @ w1.T, 0) @ w2.T
    by_hand = np.log((x**2).sum(axis=1) / (draw.x**2).sum(axis=1)).mean()
    assert together[0, -1, 1] == pytest.approx(by_hand)


def test_published_errors_name_their_table_and_are_not_taken_for_measured_ones():
    table = e03.published()
    assert [row[1] for row in table.rows] == ["6.61", "above 20", "12.35"]  # its rows for scaled shortcuts
    assert "Table 1, medians of five runs; tinyres does not train" in table.note
    assert float(table.rows[1][2]) == pytest.approx(0.5**108, rel=0.05)


def test_what_cannot_be_run_is_said():
    with pytest.raises(ValueError, match=r"E3: a=0 \(scale of the branch\): a number from 0.01 to 3 is needed"):
        lab.run("E3", a=0)


def test_narrow_nets_are_held_against_the_typical_net():
    result = lab.run("E3", m=0.0, a=1.0, width=32, depth=8, nets=100)
    gain = result.laws[1]
    assert gain.predicted == pytest.approx(np.exp(-7 * 8 / 64))
    assert all(law.ok for law in result.laws)
    assert (
        "the law of wide nets does not apply, and the prediction is that of a typical net, 0.42 times the law"
        in result.found
    )
