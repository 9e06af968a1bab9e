"""E13: the metrics against closed forms; the laws notice a metric that is wrong."""

import numpy as np
import pytest

from tests.lab.holds import holds
from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan.metrics import frechet, inception, modes
from tinyres.lab import run
from tinyres.lab.players import e13_coverage as coverage
from tinyres.lab.players import e13_frechet as distances
from tinyres.lab.players import e13_metrics as e13
from tinyres.lab.registry import Options, SettingError


def failing(laws):
    return [law.name for law in laws if not law.ok]


@pytest.mark.slow
def test_every_law_holds(tmp_path):
    result = holds("E13", tmp_path)
    assert len(result.laws) == 27
    assert "never comparable to a published FID" in result.note


def test_the_biases_notice_covariances_divided_by_n_less_three(monkeypatch):
    root = frechet._root
    monkeypatch.setattr(frechet, "_root", lambda x: root(x) * np.sqrt((len(x) - 1) / (len(x) - 3)))
    assert any("full rank" in name for name in failing(distances.closed_forms(Options())))


def test_the_biases_notice_a_distance_without_its_means(monkeypatch):
    """Four parts in thirteen of the bias at d = 8 come from the means."""
    distance = frechet._distance
    monkeypatch.setattr(frechet, "_distance", lambda difference, a, b: distance(0 * difference, a, b))
    monkeypatch.setattr(distances, "NULL", distances.NULL[:1])
    monkeypatch.setattr(distances, "CURVES", [])
    laws, _ = distances.biases(Options(), lambda: None)
    assert len(failing(laws)) == 2


def test_the_score_notices_entropies_in_bits(monkeypatch):
    entropy = inception._entropy
    monkeypatch.setattr(inception, "_entropy", lambda p: entropy(p) / np.log(2))
    assert failing(e13.scores(Options()))


def test_closed_forms():
    assert [theory.frechet_null_bias(*case) for case in ((8, 1000), (32, 1000), (64, 2000))] == [0.052, 0.592, 1.104]
    assert theory.frechet_bias(32, 1000, 1, 1) == pytest.approx(theory.frechet_null_bias(32, 1000))
    assert theory.isotropic_frechet(4, 3, 1, 2) == 4 + 4 * 4
    assert theory.balanced_inception(10, 1.0) == pytest.approx(10)
    assert theory.balanced_inception(10, 0.1) == pytest.approx(1)
    assert theory.high_quality_share() == pytest.approx(0.98889, abs=1e-5)
    assert theory.rbf_mmd(3, 1, 1, 0, 1) == pytest.approx(0, abs=1e-15)
    assert theory.rbf_mmd(3, 0, 0, 100, 1) == pytest.approx(2)


# -- what counts as a good sample -------------------------------------------------------------------------------------
@pytest.mark.parametrize("reach", [2.9, 3.03, 3.1])
def test_a_wrong_radius_of_high_quality_is_noticed(monkeypatch, reach):
    monkeypatch.setattr(modes, "REACH", reach)
    laws = coverage.mixtures(Options())
    assert "a ring 2 times as wide: high-quality share" in failing(laws)
    found = failing([*coverage.failures(Options())[0], *laws])
    assert any(name.startswith("three modes just missed") for name in found) == (reach != 3.03)


@pytest.mark.parametrize("metric", ["chebyshev", "cityblock", "sqeuclidean"])
def test_a_wrong_rule_of_high_quality_is_noticed(monkeypatch, metric):
    """A box, a diamond, and a squared distance held against one that is not."""
    from scipy.spatial import distance

    cdist = distance.cdist
    monkeypatch.setattr(distance, "cdist", lambda x, c: cdist(x, c, metric))
    found = failing(coverage.mixtures(Options()))
    assert "a ring 2 times as wide: high-quality share" in found
    cover = modes.mode_coverage(coverage.generators(Options())[coverage.MISSED], coverage.RING, coverage.SD)
    assert cover.high_quality != 5 / 8


# -- at other settings ------------------------------------------------------------------------------------------------
SETTINGS = [
    {"d": 5, "N": 400, "s1": 1.5, "s2": 0.5},
    # hardly more samples than dimensions
    pytest.param({"d": 20, "N": 24, "s1": 1.0, "s2": 1.0}, marks=pytest.mark.slow),
    pytest.param({"d": 1, "N": 100, "s1": 3.0, "s2": 3.0}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_laws_hold_at_other_settings(settings):
    result = run("E13", **settings)
    assert result.laws
    assert failing(result.laws) == []
    assert f"{settings['N']:,} samples" in result.found


@pytest.mark.parametrize("settings", SETTINGS)
def test_means_that_count_too_much_are_noticed_at_other_settings(settings, monkeypatch):
    distance = frechet._distance
    monkeypatch.setattr(frechet, "_distance", lambda difference, a, b: distance(3 * difference, a, b))
    assert failing(run("E13", **settings).laws)


def test_fewer_samples_than_dimensions_have_no_verdict(monkeypatch):
    monkeypatch.setattr(distances, "DRAWS", (20, 20))
    result = run("E13", d=30, N=25)
    assert [law.kind for law in result.laws] == ["figure"]
    assert "no verdict" in result.found
    with pytest.raises(SettingError, match="whole number from 20 to 5000"):
        run("E13", N=10)
