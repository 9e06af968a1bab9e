"""The Fréchet distance between two sets of features, taken for Gaussian, and what the number of samples does to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tinyres.gan.metrics.metric import GIVEN, Array, Metric, checked_pair, sentence

NOT_FID = "not comparable with a published FID"


def frechet_distance(features_a: Any, features_b: Any, *, extractor: str = GIVEN) -> Metric:
    """|m_a - m_b|² + tr(C_a + C_b - 2 (C_a^½ C_b C_a^½)^½), of the means and (N - 1) covariances of the features.

    Any number of samples from two on will do: no covariance is inverted, none needs full rank. The distance is biased
    upwards, by about `null_bias` where both sets come from one distribution; the note says how much that is here.

    Args:
        features_a, features_b: (N, d) and (M, d).
        extractor: what the features are.

    Raises:
        TypeError, ValueError: features that are no finite matrices of the same width.

    Heusel et al. 2017 [heusel2017gans], "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", where the features are those of an Inception net trained on ImageNet; only then is the distance the
    FID.
    """
    a, b = checked_pair("frechet_distance", ("features_a", "features_b"), features_a, features_b)
    samples, root_a, root_b = (len(a), len(b)), _root(a), _root(b)
    bias = null_bias((root_a.T @ root_a + root_b.T @ root_b) / 2, *samples)
    note = f"two such sets from one Gaussian are about {bias:.2g} apart; {NOT_FID}"
    value = _distance(a.mean(axis=0) - b.mean(axis=0), root_a, root_b)
    return Metric("Fréchet distance", value, extractor, samples, note=note)


def frechet_gaussians(mean_a: Any, covariance_a: Any, mean_b: Any, covariance_b: Any) -> float:
    """The same distance between two Gaussians that are given: means (d,), covariances (d, d), singular or not.

    Raises:
        ValueError: shapes that do not belong together; a covariance that is not symmetric or has a negative eigenvalue.
    """
    means = [np.asarray(mean, np.float64) for mean in (mean_a, mean_b)]
    covariances = [np.asarray(covariance, np.float64) for covariance in (covariance_a, covariance_b)]
    d = means[0].size
    shapes = [x.shape for x in (*means, *covariances)]
    if shapes != [(d,), (d,), (d, d), (d, d)]:
        raise ValueError(f"frechet_gaussians: two means (d,) and two covariances (d, d) are needed, got {shapes}")
    return _distance(means[0] - means[1], *(_factor(covariance) for covariance in covariances))


def null_bias(covariance: Any, samples_a: int, samples_b: int) -> float:
    """The mean distance between two samples of one Gaussian, to leading order in 1/N.

    (1/N_a + 1/N_b) (tr C + ½ Σ_ij λ_i λ_j (1 + δ_ij) / (λ_i + λ_j)) with the eigenvalues λ of C: the variance of the
    means, and that of the covariances in the metric of Bures. For the identity and N samples each: d (d + 5) / (2 N).
    *Derived.* It is meant for N well above d, and for features about as heavy-tailed as a Gaussian.

    Args:
        covariance: (d, d).
    """
    values = np.maximum(np.linalg.eigvalsh(np.asarray(covariance, np.float64)), 0)
    both = values[:, None] + values  # (d, d)
    harmonic = np.divide(values[:, None] * values, both, out=np.zeros_like(both), where=both > 0)
    return float((1 / samples_a + 1 / samples_b) * (values.sum() + (harmonic.sum() + np.trace(harmonic)) / 2))


@dataclass(frozen=True)
class FrechetLimit:
    """The distance against 1/N, and where its line ends at 1/N = 0: figures for different N become comparable.

    Attributes:
        value: the intercept: the distance as if there were infinitely many samples; it may come out below 0.
        sizes, distances: the points that the line was fitted to.
    """

    value: float
    extractor: str
    samples: tuple[int, int]
    sizes: tuple[int, ...]
    distances: tuple[float, ...]
    note: str = NOT_FID

    def __str__(self) -> str:
        found = f"Fréchet distance {self.value:.4g} extrapolated to infinitely many samples"
        return sentence(found, self.extractor, self.samples, self.note)


def frechet_limit(
    features_a: Any,
    features_b: Any,
    *,
    seed: int,
    sizes: Sequence[int] | None = None,
    draws: int = 4,
    extractor: str = GIVEN,
) -> FrechetLimit:
    """The intercept of a straight line through the distance against 1/n, from subsets of n samples of each side.

    Chong & Forsyth 2020 [chong2020effectively], "Effectively unbiased FID and Inception Score and where to find them",
    who vary the number of generated samples; here both sides have n.

    Args:
        seed: of the subsets.
        sizes: the n; by default eight, evenly spaced in 1/n from a quarter of the smaller set to all of it.
        draws: subsets of each size.

    Raises:
        ValueError: fewer than two different sizes, or one that is below 2 or above the smaller set.
    """
    a, b = checked_pair("frechet_limit", ("features_a", "features_b"), features_a, features_b)
    most = min(len(a), len(b))
    if sizes is None:
        sizes = [round(most / share) for share in np.linspace(4, 1, 8)]
    if len(set(sizes)) < 2 or min(sizes) < 2 or max(sizes) > most:
        raise ValueError(f"frechet_limit: sizes must be two or more different numbers from 2 to {most}, got {sizes}")
    rng = np.random.default_rng(seed)

    def distance(n: int) -> float:
        x, y = (part[rng.permutation(len(part))[:n]] for part in (a, b))
        return _distance(x.mean(axis=0) - y.mean(axis=0), _root(x), _root(y))

    distances = [float(np.mean([distance(n) for _ in range(draws)])) for n in sizes]
    _, intercept = np.polyfit(1 / np.asarray(sizes), distances, 1)
    return FrechetLimit(float(intercept), extractor, (len(a), len(b)), tuple(sizes), tuple(distances))


def _distance(difference: Array, root_a: Array, root_b: Array) -> float:
    """From factors C = RᵀR: the trace of (C_a^½ C_b C_a^½)^½ is the sum of the singular values of R_a R_bᵀ.

    It is the same sum as of the roots of the eigenvalues of C_a C_b. But a root turns an eigenvalue's rounding error,
    1e-16, into 1e-8, once for every direction that has no variance; singular values need no root.
    """
    with _one_thread():
        cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    value = difference @ difference + np.sum(root_a**2) + np.sum(root_b**2) - 2 * cross
    return max(float(value), 0.0)  # equal sets may end 1e-15 below


def _one_thread() -> AbstractContextManager[Any]:
    """LAPACK goes in many small steps: with threads that wait for one another it took up to a hundred times as long."""
    limits: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="blas")
    return limits


@cache
def _pools() -> ThreadpoolController:
    """The thread pools of the libraries that are loaded: looking for them takes as long as a small decomposition."""
    return ThreadpoolController()


def _root(features: Array) -> Array:
    """R (min(N, d), d) with RᵀR the covariance of (N, d)."""
    centred = features - features.mean(axis=0)
    with _one_thread():
        upper: Any = np.linalg.qr(centred, mode="r")  # NumPy's types tell of another mode
    root: Array = upper / np.sqrt(len(features) - 1)
    return root


def _factor(covariance: Array) -> Array:
    """R (d, d) with RᵀR = C, by C's eigenvalues; those within rounding of 0 are 0."""
    if not np.isfinite(covariance).all():
        raise ValueError("frechet_gaussians: a covariance holds NaN or infinity")
    scale = np.abs(covariance).max(initial=0.0)
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-10 * scale):
        raise ValueError("frechet_gaussians: a covariance must be symmetric")
    values, vectors = np.linalg.eigh(covariance)
    if values.min(initial=0.0) < -1e-10 * scale:
        raise ValueError(f"frechet_gaussians: a covariance has the negative eigenvalue {values.min():.3g}")
    values[values < len(values) * np.finfo(np.float64).eps * scale] = 0
    factor: Array = np.sqrt(values)[:, None] * vectors.T
    return factor
