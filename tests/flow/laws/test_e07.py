"""E7: the distribution of |J^T u|² over random nets, and its closed forms against draws."""

import numpy as np
import pytest

from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.laws import e07_finite_width as e07
from tinyres.flow.theory import finite_width


def test_every_law_holds(tmp_path):
    result = holds("E7", tmp_path)
    assert len(result.laws) == 15
    assert all(len(logs) == e07.NETS for logs in result.data.values())


def test_the_laws_notice_nets_without_relu(monkeypatch):
    """At their own critical scale they keep the mean of the square, too: only its logarithm tells them apart."""
    monkeypatch.setattr(e07, "SETTINGS", e07.SETTINGS[:1])
    monkeypatch.setattr(e07, "layer", lambda h, signs, w, kind: (h * signs * np.sqrt(0.5)) @ w)
    mean, *logarithm = e07.run(Options(), lambda: None).laws
    assert mean.ok
    assert not any(law.ok for law in logarithm)


def test_the_mean_notices_weights_one_per_cent_too_small(monkeypatch):
    right = e07.layer
    monkeypatch.setattr(e07, "SETTINGS", e07.SETTINGS[1:2])
    monkeypatch.setattr(e07, "layer", lambda h, signs, w, kind: right(h, signs, 0.99 * w, kind))
    assert not e07.run(Options(), lambda: None).laws[0].ok


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
