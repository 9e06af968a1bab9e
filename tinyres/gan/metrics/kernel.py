"""The maximum mean discrepancy: how far the means of two samples are apart in the feature space of a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.gan.metrics.metric import GIVEN, Array, Metric, checked_pair

BLOCK = 512  # rows of the kernel matrix at a time
Kernel = Callable[[Array, Array], Array]


def mmd(
    features_a: Any,
    features_b: Any,
    kernel: str = "polynomial",
    *,
    bandwidth: float | None = None,
    extractor: str = GIVEN,
) -> Metric:
    """MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y), without bias: pairs of one sample with itself are left out.

    It is 0 on average if both sets come from one distribution, whatever their size, and so may come out negative. The
    error is a jackknife's over samples, which tends to be too large rather than too small (Efron & Stein 1981
    [efron1981jackknife]): about √2 times the true one where the distributions are equal.

    Args:
        features_a, features_b: (N, d) and (M, d).
        kernel: "polynomial", (x·y/d + 1)³: the Kernel Inception Distance of Bińkowski et al. 2018
            [binkowski2018demystifying], "Demystifying MMD GANs", if the features are those of their Inception net; or
            "rbf", exp(-|x - y|² / 2 h²).
        bandwidth: h of "rbf"; by default the median distance in at most 1,000 samples of each side.
        extractor: what the features are.

    Raises:
        TypeError, ValueError: features that are no finite matrices of the same width, or have fewer than 3 samples;
            no such kernel; a bandwidth that is not positive.

    Gretton et al. 2012 [gretton2012kernel], "A kernel two-sample test", eq. 3.
    """
    a, b = checked_pair("mmd", ("features_a", "features_b"), features_a, features_b, least=3)
    k: Kernel = _cubic
    if kernel == "polynomial":
        name = "MMD² (polynomial kernel)"
    elif kernel == "rbf":
        h = median_distance(a, b) if bandwidth is None else bandwidth
        if not h > 0:
            raise ValueError(f"mmd: the bandwidth must be positive, got {h}; the median is 0 if most samples are equal")
        name, k = f"MMD² (RBF kernel, bandwidth {h:.3g})", _rbf(h)
    else:
        raise ValueError(f"mmd: kernel must be 'polynomial' or 'rbf', got {kernel!r}")
    value, error = _unbiased(k, a, b)
    return Metric(
        name, value, extractor, (len(a), len(b)), error, "0 on average for equal distributions; not a published KID"
    )


def median_distance(a: Array, b: Array, most: int = 1000) -> float:
    """The median distance between two different samples among both sets, of each `most` evenly spaced ones."""
    from scipy.spatial.distance import pdist

    few = [x[np.linspace(0, len(x) - 1, min(len(x), most)).astype(int)] for x in (a, b)]
    return float(np.median(pdist(np.concatenate(few))))


def _unbiased(kernel: Kernel, a: Array, b: Array) -> tuple[float, float]:
    """The U-statistic and its jackknife standard error, both from the row sums of three kernel matrices."""
    n, m = len(a), len(b)
    aa, _ = _sums(kernel, a, a, same=True)
    bb, _ = _sums(kernel, b, b, same=True)
    ab, ba = _sums(kernel, a, b)
    saa, sbb, sab = aa.sum(), bb.sum(), ab.sum()
    within_a, within_b, across = saa / (n * (n - 1)), sbb / (m * (m - 1)), sab / (n * m)
    # the statistic again, without sample i: (n,), (m,)
    without_a = (saa - 2 * aa) / ((n - 1) * (n - 2)) + within_b - 2 * (sab - ab) / ((n - 1) * m)
    without_b = (sbb - 2 * bb) / ((m - 1) * (m - 2)) + within_a - 2 * (sab - ba) / ((m - 1) * n)
    variance = (n - 1) * without_a.var() + (m - 1) * without_b.var()
    return float(within_a + within_b - 2 * across), float(np.sqrt(variance))


def _sums(kernel: Kernel, a: Array, b: Array, same: bool = False) -> tuple[Array, Array]:
    """Row sums (N,) and column sums (M,) of the kernel matrix; of one set with itself without the diagonal."""
    rows, columns = np.empty(len(a)), np.zeros(len(b))
    for start in range(0, len(a), BLOCK):
        block = kernel(a[start : start + BLOCK], b)  # (BLOCK, M)
        if same:
            here = np.arange(len(block))
            block[here, start + here] = 0
        rows[start : start + BLOCK] = block.sum(axis=1)
        columns += block.sum(axis=0)
    return rows, columns


def _cubic(x: Array, y: Array) -> Array:
    products = x @ y.T / x.shape[1] + 1
    cubes: Array = products * products * products  # ** 3 is ten times slower
    return cubes


def _rbf(h: float) -> Kernel:
    from scipy.spatial.distance import cdist

    return lambda x, y: np.exp(cdist(x, y, "sqeuclidean") / (-2 * h * h))
