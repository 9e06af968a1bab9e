"""E13: the metrics against closed forms; the laws notice a metric that is wrong."""

import numpy as np
import pytest

from tests.flow.holds import holds
from tinyres.flow.experiments import Options
from tinyres.flow.experiments.players import e13_metrics as e13
from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan.metrics import frechet, inception


def failing(laws):
    return [law.name for law in laws if not law.ok]


def test_every_law_holds(tmp_path):
    result = holds("E13", tmp_path)
    assert len(result.laws) == 23
    assert "never comparable to a published FID" in result.note


def test_the_biases_notice_covariances_divided_by_n_less_three(monkeypatch):
    root = frechet._root
    monkeypatch.setattr(frechet, "_root", lambda x: root(x) * np.sqrt((len(x) - 1) / (len(x) - 3)))
    assert any("full rank" in name for name in failing(e13.closed_forms(Options())))


def test_the_biases_notice_a_distance_without_its_means(monkeypatch):
    """Four parts in thirteen of the bias at d = 8 come from the means."""
    distance = frechet._distance
    monkeypatch.setattr(frechet, "_distance", lambda difference, a, b: distance(0 * difference, a, b))
    monkeypatch.setattr(e13, "NULL", e13.NULL[:1])
    monkeypatch.setattr(e13, "CURVES", [])
    laws, _ = e13.biases(Options(), lambda: None)
    assert len(failing(laws)) == 2


def test_the_score_notices_entropies_in_bits(monkeypatch):
    entropy = inception._entropy
    monkeypatch.setattr(inception, "_entropy", lambda p: entropy(p) / np.log(2))
    assert failing(e13.scores(Options()))


def test_closed_forms():
    assert [theory.frechet_null_bias(*case) for case in ((8, 1000), (32, 1000), (64, 2000))] == [0.052, 0.592, 1.104]
    assert theory.isotropic_frechet(4, 3, 1, 2) == 4 + 4 * 4
    assert theory.balanced_inception(10, 1.0) == pytest.approx(10)
    assert theory.balanced_inception(10, 0.1) == pytest.approx(1)
    assert theory.high_quality_share() == pytest.approx(0.98889, abs=1e-5)
    assert theory.rbf_mmd(3, 1, 1, 0, 1) == pytest.approx(0, abs=1e-15)
    assert theory.rbf_mmd(3, 0, 0, 100, 1) == pytest.approx(2)
