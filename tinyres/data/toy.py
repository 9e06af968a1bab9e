"""Two-dimensional toys: two moons to classify, and mixtures of Gaussians whose modes a generator should find.

The ring and the grid are those on which VEEGAN (Srivastava et al. 2017 [srivastava2017veegan]) counts covered modes. In
all of them the target of a sample is the number of the component it was drawn from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.data.dataset import Array, Dataset


def two_moons(n: int, *, noise: float = 0.1, seed: int = 0, dtype: Any = "float32") -> Dataset:
    """Two interleaved half circles, n // 2 points on the upper one (class 0) and the rest on the lower (class 1).

    With t evenly spaced in [0, pi]: (cos t, sin t) and (1 - cos t, 1/2 - sin t), plus Gaussian noise, in random order.
    Inputs (n, 2), targets (n,) int64.

    Raises:
        ValueError: n < 1 or noise < 0.
    """
    _at_least("two_moons", "n", n, 1)
    _at_least("two_moons", "noise", noise, 0)
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(2), [n // 2, n - n // 2])
    upper, lower = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    points = np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )  # (n, 2)
    points += noise * rng.standard_normal(points.shape)
    order = rng.permutation(n)  # else a loader that does not shuffle would give one moon after the other
    return Dataset(points[order].astype(dtype), targets[order].astype(np.int64), "two moons", 2)


def gaussian_mixture(
    n: int, centers: Any, sd: float, seed: int = 0, *, dtype: Any = "float32", name: str = "gaussian mixture"
) -> Dataset:
    """n independent draws from K equally likely round Gaussians: center[k] + sd * N(0, I), k uniform.

    Args:
        centers: (K, D).
        sd: standard deviation in every direction, the same for all components.

    Inputs (n, D), targets (n,) int64: the component k.

    Raises:
        ValueError: n < 1, sd < 0, or centers that are not K >= 1 rows of D >= 1 numbers.
    """
    _at_least(name, "n", n, 1)
    _at_least(name, "sd", sd, 0)
    means = np.asarray(centers, dtype=np.float64)
    if means.ndim != 2 or means.size == 0:
        raise ValueError(f"{name}: centers must have shape (components, dimensions), got {means.shape}")
    rng = np.random.default_rng(seed)
    component = rng.integers(len(means), size=n)
    points = means[component] + sd * rng.standard_normal((n, means.shape[1]))  # (n, D)
    return Dataset(points.astype(dtype), component.astype(np.int64), name, len(means))


def ring(
    n: int, modes: int = 8, radius: float = 1.0, sd: float = 0.01, seed: int = 0, *, dtype: Any = "float32"
) -> Dataset:
    """A Gaussian mixture whose means are `ring_centers(modes, radius)`; see `gaussian_mixture`."""
    return gaussian_mixture(n, ring_centers(modes, radius), sd, seed, dtype=dtype, name="ring")


def grid(
    n: int, side: int = 5, step: float = 2.0, sd: float = 0.05, seed: int = 0, *, dtype: Any = "float32"
) -> Dataset:
    """A Gaussian mixture whose means are `grid_centers(side, step)`; see `gaussian_mixture`."""
    return gaussian_mixture(n, grid_centers(side, step), sd, seed, dtype=dtype, name="grid")


def ring_centers(modes: int = 8, radius: float = 1.0) -> Array:
    """(modes, 2) float64: evenly spaced on a circle round the origin, counterclockwise from (radius, 0).

    Raises:
        ValueError: modes < 1.
    """
    _at_least("ring", "modes", modes, 1)
    angle = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def grid_centers(side: int = 5, step: float = 2.0) -> Array:
    """(side * side, 2) float64: a square lattice round the origin, neighbours `step` apart.

    Raises:
        ValueError: side < 1.
    """
    _at_least("grid", "side", side, 1)
    line = step * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def _at_least(function: str, argument: str, value: float, least: int) -> None:
    if not value >= least:  # written this way so that NaN is rejected, too
        raise ValueError(f"{function}: {argument} must be at least {least}, got {value}")
