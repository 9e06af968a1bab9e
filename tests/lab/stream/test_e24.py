"""E24: the variance of the stream, and the two claims it settles."""

import pytest

from tests.lab.holds import holds
from tinyres import lab
from tinyres.lab.stream import nets

QUICK = {"depth": 8, "nets": 8, "width": 128}


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E24", tmp_path)
    assert [law.kind for law in result.laws] == ["asymptotic"] * 12
    exponential, deeper = result.tables[0].rows
    assert "linearly" in exponential[1]
    assert "times as much" in deeper[1]


@pytest.mark.parametrize(("depth", "s"), [(1, 1.0), (6, 0.4), (10, 2.0)])
def test_the_law_at_other_settings(depth, s):
    result = lab.run("E24", **(QUICK | {"depth": depth, "s": s}))
    variances = [law for law in result.laws if "variance" in law.name]
    assert [law.name for law in variances if not law.ok] == []
    assert [law.predicted for law in variances][:2] == pytest.approx([1 + depth * s * s, 1 + depth])


def test_a_scale_that_does_not_shrink_with_depth_is_noticed(monkeypatch):
    monkeypatch.setattr(nets.Times, "forward", lambda self, x: 0.5 * x)
    wrong = [law.name for law in lab.run("E24", **QUICK).laws if not law.ok]
    assert any("LayerNorm scaling" in name and "variance" in name for name in wrong)
