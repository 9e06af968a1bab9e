"""Inception Score, MMD, precision and recall, mode coverage: closed forms, bounds, and what each refuses."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import data
from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics
from tinyres.gan.metrics import kernel, neighbours


def samples(seed, n, d, sd=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * sd


# -- Inception Score --------------------------------------------------------------------------------------------------
def test_inception_score_at_its_bounds_and_between():
    sure, none = np.eye(10).repeat(5, axis=0), np.full((50, 10), 0.1)
    assert metrics.inception_score(sure, splits=1).value == pytest.approx(10, abs=1e-10)
    assert metrics.inception_score(none, splits=5).value == pytest.approx(1, abs=1e-10)
    p = np.full((10, 10), 0.02) + 0.8 * np.eye(10)
    assert metrics.inception_score(p, splits=1).value == pytest.approx(theory.balanced_inception(10, 0.82), abs=1e-10)
    q = np.random.default_rng(0).dirichlet(np.ones(4), 20)
    divergences = (q * np.log(q / q.mean(axis=0))).sum(axis=1)
    assert metrics.inception_score(q, splits=1).value == pytest.approx(np.exp(divergences.mean()), abs=1e-12)
    assert metrics.inception_score(q * (1 + 5e-5), splits=1).value == pytest.approx(
        np.exp(divergences.mean()), abs=1e-12
    )
    one_sided = np.eye(10)[[3] * 20]
    assert metrics.inception_score(one_sided, splits=2).value == 1


def test_inception_score_stays_within_its_bounds_and_counts_splits():
    for seed in range(20):
        p = np.random.default_rng(seed).dirichlet(np.full(4, 0.05), 30).astype(np.float32)
        assert 1 <= metrics.inception_score(p, splits=3).value <= 4
    halves = metrics.inception_score(np.concatenate([np.eye(2), np.eye(2)[[0, 0]]]), splits=2)
    assert (halves.value, halves.spread) == pytest.approx((1.5, 0.5))
    assert "1.5 ± 0.5 (1 to 2, 2 splits) in the answers of a classifier, 4 samples; not comparable" in str(halves)


@pytest.mark.parametrize("p", [[[2.0, -1.0]], [[0.5, 0.4]], [[np.nan, 1.0]]])
def test_inception_score_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match=r"softmax|NaN"):
        metrics.inception_score(np.array(p), splits=1)
    with pytest.raises(ValueError, match="between 1 and the 2 samples"):
        metrics.inception_score(np.eye(2), splits=3)


# -- MMD --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "k"), [
    ("polynomial", lambda x, y: (x @ y / 3 + 1) ** 3),
    ("rbf", lambda x, y: np.exp(-np.sum((x - y) ** 2) / (2 * 0.7**2))),
])  # fmt: skip
def test_mmd_is_the_mean_over_pairs_of_two_and_its_error_a_jackknife(name, k, monkeypatch):
    monkeypatch.setattr(kernel, "BLOCK", 4)  # several blocks, the last one not full
    a, b = samples(0, 9, 3), samples(1, 7, 3) + 0.5

    def written_out(x, y):
        within = [np.mean([k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]) for z in (x, y)]
        return sum(within) - 2 * np.mean([k(u, v) for u in x for v in y])

    found = metrics.mmd(a, b, name, bandwidth=0.7)
    assert found.value == pytest.approx(written_out(a, b), abs=1e-12)
    left = (
        [written_out(np.delete(a, i, 0), b) for i in range(9)],
        [written_out(a, np.delete(b, i, 0)) for i in range(7)],
    )
    assert found.error**2 == pytest.approx(8 * np.var(left[0]) + 6 * np.var(left[1]), abs=1e-12)


@pytest.mark.parametrize("name", ["polynomial", "rbf"])
def test_mmd_is_unbiased_and_its_error_is_honest(name):
    same = [metrics.mmd(samples((0, s), 60, 4), samples((1, s), 80, 4), name, bandwidth=2) for s in range(300)]
    values, errors = np.array([m.value for m in same]), np.array([m.error for m in same])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(300)
    assert 1 < errors.mean() / values.std() < 2
    assert (values < 0).any()
    far = [metrics.mmd(samples((0, s), 60, 4), samples((1, s), 80, 4, 2), name, bandwidth=2) for s in range(300)]
    values, errors = np.array([m.value for m in far]), np.array([m.error for m in far])
    true = theory.polynomial_mmd(4, 1, 2) if name == "polynomial" else theory.rbf_mmd(4, 1, 2, 0, 2)
    assert abs(values.mean() - true) < 3 * values.std() / np.sqrt(300)
    assert np.sqrt(np.mean(errors**2)) / values.std() == pytest.approx(1.1, abs=0.2)


def test_rbf_mmd_of_shifted_gaussians():
    found = [metrics.mmd(samples((0, s), 200, 2), samples((1, s), 200, 2) + np.eye(2)[0], "rbf", bandwidth=1).value
             for s in range(50)]  # fmt: skip
    true = theory.rbf_mmd(2, 1, 1, 1, 1)
    assert abs(np.mean(found) - true) < 3 * np.std(found) / np.sqrt(50)
    assert true > 0.05


def test_the_median_bandwidth_and_its_limits():
    line = np.array([[0.0], [1], [2]])
    assert kernel.median_distance(line, line + 100) == pytest.approx(99)
    assert "bandwidth 99" in str(metrics.mmd(line, line + 100, "rbf"))
    with pytest.raises(ValueError, match="bandwidth must be positive, got 0"):
        metrics.mmd(np.zeros((5, 2)), np.zeros((5, 2)), "rbf")
    with pytest.raises(ValueError, match="'polynomial' or 'rbf'"):
        metrics.mmd(line, line, "cubic")


# -- precision and recall ---------------------------------------------------------------------------------------------
def test_precision_and_recall_on_a_line(monkeypatch):
    """Worked out by hand, for k = 1: the balls round the real points reach 1, 1 and 2 far."""
    monkeypatch.setattr(neighbours, "BLOCK", 2)
    real, fake = np.array([[0.0], [1], [3]]), np.array([[5.0], [5.5], [-1], [20]])
    found = metrics.precision_recall(real, fake, k=1)
    # 5 is just within 2 of 3, and -1 within 1 of 0; 5.5 and 20 are outside
    assert found.precision == 2 / 4
    # those round the fakes 0.5, 0.5, 6 and 14.5: all real points are within 6 of -1
    assert found.recall == 1
    assert metrics.precision_recall(fake, real, k=1) == metrics.PrecisionRecall(1, 0.5, 1, "the given features", (4, 3))


def test_precision_and_recall_tell_bad_samples_from_missing_ones():
    ring = data.ring(1000, dtype="float64")
    real, half = ring.inputs, ring.inputs[ring.targets < 4]
    missing = metrics.precision_recall(real, half)
    assert (missing.precision, missing.recall) == (1, len(half) / 1000)
    worse = metrics.precision_recall(real, np.concatenate([real, samples(0, 1000, 2) + 50]))
    assert (worse.precision, worse.recall) == (0.5, 1)
    apart = metrics.precision_recall(real, real + 100)
    assert (apart.precision, apart.recall) == (0, 0)
    assert "precision 0.000, recall 0.000 (3 neighbours) in the given features, 1,000 against 1,000" in str(apart)


def test_precision_needs_more_samples_than_neighbours():
    with pytest.raises(ValueError, match="fake needs at least 4 samples, got 3"):
        metrics.precision_recall(np.zeros((9, 2)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="k must be at least 1"):
        metrics.precision_recall(np.zeros((9, 2)), np.zeros((9, 2)), k=0)


# -- modes ------------------------------------------------------------------------------------------------------------
def test_modes_are_counted_by_good_samples_and_reverse_kl_by_all():
    centers = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    points = np.array([[0.0, 2.9], [0, 0], [10, 3.1], [0, 10]])
    found = metrics.mode_coverage(points, centers, 1)
    assert (found.modes, found.of, found.high_quality, found.counts) == (2, 4, 0.75, (2, 1, 1, 0))
    assert found.reverse_kl == pytest.approx(0.5 * np.log(2))
    assert metrics.mode_coverage(centers, centers, 1).reverse_kl == pytest.approx(0, abs=1e-15)
    assert metrics.mode_coverage(centers[[0] * 7], centers, 1).reverse_kl == pytest.approx(np.log(4))
    assert "2 of 4 modes, 75.0 % high quality, reverse KL 0.347 nats, from 4 samples" in str(found)


def test_the_mixture_itself():
    found = metrics.mode_coverage(data.grid(50_000).inputs, data.grid_centers(), 0.05)
    assert found.modes == 25
    assert found.high_quality == pytest.approx(theory.high_quality_share(), abs=3 * np.sqrt(0.011 / 50_000))
    with pytest.raises(ValueError, match="sd must be positive"):
        metrics.mode_coverage(np.zeros((2, 2)), np.zeros((1, 2)), 0)


# -- what none of them takes ------------------------------------------------------------------------------------------
ALL = [metrics.frechet_distance, metrics.mmd, metrics.precision_recall]


@pytest.mark.parametrize("metric", ALL)
def test_features_that_are_none(metric):
    good, bad = samples(0, 10, 3), samples(1, 10, 3)
    bad[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"NaN or infinity in 1 of 10 samples, the first of them number 4"):
        metric(good, bad)
    with pytest.raises(ValueError, match=r"have 3 numbers and those of .* 2; .*same extractor"):
        metric(good, samples(1, 10, 2))
    with pytest.raises(ValueError, match=r"\(samples, features\), got \(10, 1, 8, 8\); flatten"):
        metric(np.zeros((10, 1, 8, 8)), good)
    with pytest.raises(ValueError, match=r"needs at least \d samples, got 1"):
        metric(good[:1], good)
    with pytest.raises(TypeError, match="real numbers, got complex128"):
        metric(good * 1j, good)


@pytest.mark.parametrize("metric", ALL)
def test_tensors_and_float32_are_features_too(metric):
    a, b = samples(0, 10, 3).astype("float32"), samples(1, 12, 3).astype("float32")
    assert metric(tr.tensor(a), tr.tensor(b)) == metric(a.astype("float64"), b.astype("float64"))
