"""E22: how many branches the gradient passes with each of five norms."""

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres import lab
from tinyres.flow.theory import path_lengths, stream
from tinyres.lab.stream import e22_way_back as e22
from tinyres.lab.stream import nets

QUICK = {"depth": 6, "nets": 6, "width": 128}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E22", tmp_path)
    assert [law.kind for law in result.laws] == ["asymptotic"] * 10
    assert [round(law.predicted, 3) for law in result.laws[:5]] == [2.816, 12.0, 2.816, 1.33, 0.018]


@pytest.mark.parametrize(("depth", "s"), [(2, 1.0), (9, 0.6), (5, 1.5)])
def test_the_law_at_other_settings(depth, s):
    result = lab.run("E22", **(QUICK | {"depth": depth, "s": s}))
    lengths = [law for law in result.laws if "mean number" in law.name]
    assert [law.name for law in lengths if not law.ok] == []
    assert f"Through {depth} blocks" in result.found


def test_the_closed_forms_of_the_mean_length():
    harmonic = sum(1 / k for k in range(1, 26))
    for norm in ("pre", "peri"):
        assert path_lengths.mean_length(stream.branch_gains(norm, 24)) == pytest.approx(harmonic - 1)
    assert path_lengths.mean_length(stream.branch_gains("post", 24)) == 12


def test_skip_and_branch_exchanged_are_noticed(monkeypatch):
    make = nets.block

    def exchanged(*args):
        found = make(*args)
        residual = found if hasattr(found, "branch") else found[0]

        def forward(x, relu=False):
            y = residual.branch(x) + (x if residual.shortcut is None else residual.shortcut(x))
            y.node.roles = ("skip", "branch")
            return y

        residual.forward = forward
        return found

    monkeypatch.setattr(nets, "block", exchanged)
    laws = lab.run("E22", **QUICK).laws
    assert not any(law.ok for law in laws if "mean number" in law.name and "post" not in law.name)


def test_a_scale_that_is_forgotten_is_noticed(monkeypatch):
    monkeypatch.setattr(nets.Times, "forward", lambda self, x: x)
    wrong = [law.name for law in lab.run("E22", **QUICK).laws if not law.ok and "mean number" in law.name]
    assert [name.partition(":")[0] for name in wrong] == ["LayerNorm scaling", "DeepNorm"]


def test_a_narrow_net_may_lie_further_from_the_law_of_wide_ones():
    shares = np.full((3, 25), 0.04)
    narrow, wide = (e22.untouched_law("pre", shares, 1.0, width) for width in (64, 512))
    assert narrow.measured == pytest.approx(narrow.predicted, rel=1e-3)
    assert (narrow.tolerance - wide.tolerance) / wide.predicted == pytest.approx(2 / 64 - 2 / 512)
    assert not e22.untouched_law("pre", 0.8 * shares, 1.0, 512).ok


def test_shares_sum_to_one():
    drawn = next(nets.Draw.some((0,), 1, 4, 32, 3))
    for norm in stream.NORMS:
        shares = e22.share(norm, drawn)
        assert shares.shape == (5,)
        assert np.sum(shares) == pytest.approx(1)
