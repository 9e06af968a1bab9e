"""Two-dimensional toys: moons, spirals and circles to classify, mixtures of Gaussians whose modes a GAN should find.

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
    targets = np.repeat(np.arange(2), [n // 2, n - n // 2])
    upper, lower = np.linspace(0, np.pi, n // 2), np.linspace(0, np.pi, n - n // 2)
    points = np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )  # (n, 2)
    return _shuffled(points, targets, noise, seed, dtype, "two moons", 2)


def spirals(
    n: int, *, arms: int = 2, turns: float = 1.0, noise: float = 0.02, seed: int = 0, dtype: Any = "float32"
) -> Dataset:
    """Interleaved spirals round the origin, one class an arm: hard for a shallow net, as no few lines part the arms.

    Arm k holds r (cos a, sin a) with a = 2 pi (turns r + k / arms) and r evenly spaced in [0.1, 1], plus Gaussian
    noise, in random order. Inputs (n, 2), targets (n,) int64. Two of them are the task of Lang & Witbrock 1989
    [lang1989learning], "Learning to tell two spirals apart".

    Raises:
        ValueError: n < arms, arms < 1 or noise < 0.
    """
    _at_least("spirals", "arms", arms, 1)
    _at_least("spirals", "n", n, arms)
    _at_least("spirals", "noise", noise, 0)
    targets = np.arange(n) * arms // n  # as many of each arm, up to one
    radius = np.concatenate([np.linspace(0.1, 1, size) for size in np.bincount(targets, minlength=arms)])
    angle = 2 * np.pi * (turns * radius + targets / arms)
    return _shuffled(radius[:, None] * _unit(angle), targets, noise, seed, dtype, "spirals", arms)


def circles(n: int, *, inner: float = 0.5, noise: float = 0.05, seed: int = 0, dtype: Any = "float32") -> Dataset:
    """Two circles round the origin: n // 2 points of radius `inner` (class 0), the rest of radius 1 (class 1).

    Evenly spaced angles, plus Gaussian noise, in random order. Inputs (n, 2), targets (n,) int64.

    Raises:
        ValueError: n < 1, noise < 0, or inner outside [0, 1].
    """
    _at_least("circles", "n", n, 1)
    _at_least("circles", "noise", noise, 0)
    if not 0 <= inner <= 1:
        raise ValueError(f"circles: inner must be a radius from 0 to 1, got {inner}")
    sizes = [n // 2, n - n // 2]
    targets = np.repeat(np.arange(2), sizes)
    angle = np.concatenate([2 * np.pi * np.arange(size) / max(size, 1) for size in sizes])
    radius = np.where(targets == 0, inner, 1.0)
    return _shuffled(radius[:, None] * _unit(angle), targets, noise, seed, dtype, "circles", 2)


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


def _unit(angle: Array) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _shuffled(points: Array, targets: Array, noise: float, seed: int, dtype: Any, name: str, classes: int) -> Dataset:
    """The points with noise, in random order: else a loader that does not shuffle would give one class at a time."""
    rng = np.random.default_rng(seed)
    points = points + noise * rng.standard_normal(points.shape)
    order = rng.permutation(len(points))
    return Dataset(points[order].astype(dtype), targets[order].astype(np.int64), name, classes)


def _at_least(function: str, argument: str, value: float, least: int) -> None:
    if not value >= least:  # written this way so that NaN is rejected, too
        raise ValueError(f"{function}: {argument} must be at least {least}, got {value}")
