"""A distance that sees only mean and covariance calls fakes perfect although hardly any of them is good.

Fréchet: |m_a - m_b|² + tr(C_a + C_b - 2 (C_a^½ C_b C_a^½)^½); equal means and covariances are at distance 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinyres.data import ring_centers
from tinyres.exercises.expect import function
from tinyres.gan import metrics

POINTS, SD = 1000, 0.02
BEND = [np.eye(2), np.array([[2.0, 0.0], [1.5, 0.5]])]  # of the ring: none; and one that lets x and y go together
AWAY = np.array([1.0, -2.0])
GOOD, SHARE = 0.05, 5.0  # at most so many good fakes; at most so many times what chance does to two real samples


def check(answer: Callable[[Any], Any]) -> None:
    """Give answer(real) rings of eight modes, and look at the fakes with both eyes."""
    forge = function(answer, "forge(real)")
    for k, bend in enumerate(BEND):
        rng = np.random.default_rng(k)
        centers = ring_centers(8) @ bend + k * AWAY
        real = centers[rng.integers(8, size=POINTS)] + SD * rng.standard_normal((POINTS, 2))
        fakes = np.asarray(forge(real.copy()), dtype=float)
        assert fakes.shape == real.shape, f"as many fakes as real points are needed, {real.shape}; got {fakes.shape}"
        assert np.isfinite(fakes).all(), "a fake is not finite"
        _hold(real, fakes, centers)


def _hold(real: Any, fakes: Any, centers: Any) -> None:
    distance = metrics.frechet_distance(real, fakes).value
    chance = metrics.null_bias(np.cov(real.T), POINTS, POINTS)
    good = metrics.mode_coverage(fakes, centers, SD).high_quality
    if distance > SHARE * chance:
        raise AssertionError(
            f"the Fréchet distance is {distance:.3g}; it must be below {SHARE * chance:.2g}, {SHARE:g} times the "
            f"distance that chance makes between two real samples. {_hint(real, fakes)}"
        )
    assert good <= GOOD, (
        f"the Fréchet distance is {distance:.2g}, as good as perfect, but {good:.0%} of the fakes lie on the ring's "
        f"modes: those are good fakes. At most {GOOD:.0%} may. What else has the same mean and covariance?"
    )


def _hint(real: Any, fakes: Any) -> str:
    wanted, found = np.cov(real.T), np.cov(fakes.T)
    scale = float(np.sqrt(np.trace(wanted)))
    if np.linalg.norm(real.mean(axis=0) - fakes.mean(axis=0)) > 0.1 * scale:
        return f"Their mean is {fakes.mean(axis=0).round(2)}, that of the real points {real.mean(axis=0).round(2)}."
    if not np.allclose(np.diag(found), np.diag(wanted), rtol=0.3):
        return f"Their variances are {np.diag(found).round(2)}, those of the real points {np.diag(wanted).round(2)}."
    return (
        f"Mean and variances are right, but the covariance of x and y is {found[0, 1]:.2f} for the fakes and "
        f"{wanted[0, 1]:.2f} for the real points."
    )


__all__ = ["check"]
