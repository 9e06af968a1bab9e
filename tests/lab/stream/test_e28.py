"""E28: mixed streams, freely and doubly stochastically, and where Sinkhorn falls silent."""

import numpy as np
import pytest

import tinyres as tr
from tests.lab.holds import holds
from tinyres import lab
from tinyres.flow.theory import mixing
from tinyres.lab.stream import e28_mixing as e28


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E28", tmp_path)
    assert [law.kind for law in result.laws].count("asymptotic") == 6
    assert result.tables[0].rows[-1] == ["750", "0", "0"]


@pytest.mark.parametrize("settings", [{"n": 2}, {"n": 6, "sigma": 0.03, "depth": 64}, {"sigma": 0.15, "depth": 10}])
def test_the_law_at_other_settings(settings):
    result = lab.run("E28", **settings)
    assert [law.name for law in result.laws if not law.ok] == []


def test_the_gain_of_one_mixing_is_exact():
    """E |(I + sigma G)^T g|² = |g|² (1 + n sigma²), over many draws."""
    found = e28.free(np.random.default_rng(0), 4, 0.5, 1, 200_000)[:, 1]
    assert found.mean() == pytest.approx(2.0, rel=0.01)


def test_closed_forms():
    assert mixing.free_gain(4, 0.1, 64) == pytest.approx(12.306, abs=5e-4)
    assert mixing.difference_left(0.1, 64) == pytest.approx(1.179e-3, rel=1e-3)
    for dtype in ("float32", "float64"):
        smallest = np.finfo(dtype).smallest_subnormal
        limit = np.array(-mixing.silent_range(dtype), "float64")
        assert np.exp(limit) == pytest.approx(float(smallest) / 2, rel=1e-6) or dtype == "float64"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x, n=20: tr.softmax(x, dim=-1), "sums"),
        (lambda x, n=20: tr.softmax(x, dim=-2), "mean of the gradient"),
    ],
)
def test_rows_alone_or_columns_alone_are_not_enough(wrong, words, monkeypatch):
    monkeypatch.setattr(e28, "sinkhorn", wrong)
    laws = [law for law in lab.run("E28").laws if words in law.name]
    assert laws
    assert not any(law.ok for law in laws)


def test_mixing_that_grows_is_noticed(monkeypatch):
    right = e28.free
    monkeypatch.setattr(e28, "free", lambda rng, n, sigma, *rest: right(rng, n, 1.3 * sigma, *rest))
    laws = [law for law in lab.run("E28").laws if "free" in law.name]
    assert not any(law.ok for law in laws)
