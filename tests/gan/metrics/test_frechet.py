"""The Fréchet distance: closed forms, SciPy's matrix root, covariances without full rank, and its bias."""

import numpy as np
import pytest

from tinyres.flow.theory import gan_metrics as theory
from tinyres.gan import metrics


def samples(seed, n, d, sd=1.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * sd


def covariance(seed, d, rank):
    factor = samples(seed, rank, d)
    return factor.T @ factor


@pytest.mark.parametrize("d", [1, 5, 40])
def test_against_scipys_matrix_root(d):
    from scipy.linalg import sqrtm

    a, b = samples(0, 200, d), samples(1, 300, d, np.linspace(0.5, 2, d)) + 0.3
    first, second = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    means = a.mean(axis=0), b.mean(axis=0)
    by_root = np.sum((means[0] - means[1]) ** 2) + np.trace(first + second) - 2 * np.trace(sqrtm(first @ second)).real
    assert metrics.frechet_distance(a, b).value == pytest.approx(by_root, abs=1e-8)
    assert metrics.frechet_gaussians(means[0], first, means[1], second) == pytest.approx(by_root, abs=1e-8)


def test_round_gaussians():
    d, shift = 7, np.full(7, 2 / np.sqrt(7))
    found = metrics.frechet_gaussians(np.zeros(d), 9 * np.eye(d), shift, np.eye(d))
    assert found == pytest.approx(theory.isotropic_frechet(d, 3, 1, 2), abs=1e-8) == pytest.approx(4 + 7 * 4)


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_covariances_without_full_rank(rank):
    """Moving a Gaussian costs |shift|² alone, shrinking it by a costs (1 - a)² tr C, whatever its rank."""
    c, zero = covariance(0, 10, rank), np.zeros(10)
    assert metrics.frechet_gaussians(zero, c, zero + 0.5, c) == pytest.approx(2.5, abs=1e-8)
    assert metrics.frechet_gaussians(zero, c, zero, c / 9) == pytest.approx(np.trace(c) * 4 / 9, abs=1e-8)
    disjoint = np.diag([1.0, 2.0, 0, 0]), np.diag([0, 0, 3.0, 4.0])
    assert metrics.frechet_gaussians(np.zeros(4), disjoint[0], np.zeros(4), disjoint[1]) == pytest.approx(10, abs=1e-8)


@pytest.mark.parametrize("n", [2, 20, 64, 65, 300])
def test_fewer_samples_than_features_and_dead_and_doubled_features(n):
    x = samples(0, n, 64)
    x[:, 1], x[:, 2] = 0, x[:, 3]
    trace = np.trace(np.cov(x.T))
    assert metrics.frechet_distance(x, x + 1).value == pytest.approx(64, abs=1e-8)
    shrunk = x.mean(axis=0) + 0.25 * (x - x.mean(axis=0))
    assert metrics.frechet_distance(x, shrunk).value == pytest.approx(theory.shrunk_frechet(trace, 0.25), abs=1e-8)
    assert 0 <= metrics.frechet_distance(x, x).value < 1e-11 * trace


def test_rotations_and_order_change_nothing():
    a, b = samples(0, 50, 6), samples(1, 40, 6, 2)
    turn, _ = np.linalg.qr(samples(2, 6, 6))
    here = metrics.frechet_distance(a, b).value
    assert metrics.frechet_distance(b[::-1] @ turn, a @ turn).value == pytest.approx(here, abs=1e-10)


def test_the_bias_of_equal_distributions():
    assert metrics.null_bias(np.eye(32), 1000, 1000) == pytest.approx(theory.frechet_null_bias(32, 1000))
    turned = np.diag([1.0, 4.0, 0.0])
    both = [metrics.frechet_distance(samples((0, s), 400, 3) * [1, 2, 0], samples((1, s), 800, 3) * [1, 2, 0]).value
            for s in range(400)]  # fmt: skip
    assert np.mean(both) == pytest.approx(metrics.null_bias(turned, 400, 800), rel=0.1)


def test_the_limit_of_many_samples():
    """A line through a + b/n meets a, as the distances of a known pair do on average."""
    limits = [metrics.frechet_limit(samples((0, s), 400, 8), samples((1, s), 500, 8, 1.5), seed=s) for s in range(10)]
    true = theory.isotropic_frechet(8, 1, 1.5)
    assert np.mean([limit.value for limit in limits]) == pytest.approx(true, rel=0.05)
    assert np.mean([limit.distances[-1] for limit in limits]) > 1.05 * true
    assert limits[0].sizes[0] == 100
    assert limits[0].sizes[-1] == 400
    assert limits[0].value == metrics.frechet_limit(samples((0, 0), 400, 8), samples((1, 0), 500, 8, 1.5), seed=0).value
    assert "extrapolated to infinitely many samples" in str(limits[0])
    with pytest.raises(ValueError, match="from 2 to 400"):
        metrics.frechet_limit(samples(0, 400, 8), samples(1, 500, 8), seed=0, sizes=[400, 401])


def test_it_says_which_features_how_many_samples_and_that_it_is_no_fid():
    said = str(metrics.frechet_distance(samples(0, 1000, 3), samples(1, 1200, 3), extractor="pixels"))
    assert said.startswith("Fréchet distance 0.0")
    assert "in pixels, 1,000 against 1,200 samples" in said
    assert said.endswith("not comparable with a published FID")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(3), np.eye(3), np.zeros(3), np.eye(2)), "two covariances"),
        ((np.zeros(2), np.eye(2), np.zeros(2), np.diag([1, -1])), "negative eigenvalue -1"),
        ((np.zeros(2), np.eye(2), np.zeros(2), [[1, 1], [0, 1]]), "symmetric"),
        ((np.zeros(2), np.eye(2), np.zeros(2), [[1, np.nan], [np.nan, 1]]), "NaN"),
    ],
)
def test_gaussians_that_are_none(arguments, said):
    with pytest.raises(ValueError, match=said):
        metrics.frechet_gaussians(*arguments)
