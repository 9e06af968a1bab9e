"""What is said of one array: norms, moments, histograms, dead units."""

import numpy as np
import pytest

from tinyres.flow.instruments.statistics import (
    _CHUNK,
    LOG_EDGES,
    SAMPLE,
    activation_summary,
    dot,
    gradient_summary,
    size,
)


def test_shares_are_of_all_elements_those_that_are_not_finite_included():
    found = gradient_summary(np.array([1.0, 0.0, 0.0, np.inf]))
    assert found.histogram.sum() == 0.25


def test_an_inner_product_of_two_memory_layouts():
    a = np.arange(6.0).reshape(2, 3)
    assert dot(a, np.asfortranarray(a)) == dot(a, a) == 55


def test_norms_where_squares_are_too_small_or_too_large():
    for scale in (1e-200, 1.0, 1e200):
        assert size(np.array([3.0, -4.0]) * scale) == pytest.approx(5 * scale)
    assert size(np.full(4, 1e-30, "f")) == pytest.approx(2e-30)
    found = [size(np.array([1, end])) for end in (0, np.nan, np.inf)]
    np.testing.assert_array_equal([*found, size(np.zeros(3))], [1, np.nan, np.inf, 0])


def test_histograms_of_large_arrays_are_of_a_sample_that_is_the_same_each_time():
    values = (
        np.random.default_rng(0).standard_normal((8, 16, 32, 32)).astype("f") * np.geomspace(1, 1e3, 16)[:, None, None]
    )
    (first, again), all_of_it = (gradient_summary(values) for _ in range(2)), np.log10(np.abs(values))
    np.testing.assert_array_equal(first.histogram, again.histogram)
    whole = np.histogram(all_of_it, LOG_EDGES)[0] / values.size
    np.testing.assert_allclose(first.histogram, whole, atol=5 * np.sqrt(0.25 / 4096))
    assert gradient_summary(np.zeros((2, 3))).histogram.sum() == 0
    assert activation_summary(np.full((2, 3), 7.0)).histogram[40] == 1


def test_channels_are_the_units_of_images():
    values = np.ones((2, 4, 3, 3))
    values[:, 1] = 0
    values[0, 2] = 0  # alive in the other sample
    assert activation_summary(values).dead == 0.25
    assert np.isnan(activation_summary(np.ones(3)).dead)


@pytest.mark.parametrize("n", [_CHUNK - 1, _CHUNK, _CHUNK + 1, 3 * _CHUNK + 5])
def test_figures_of_as_many_pieces_as_it_takes(n):
    a, b = np.random.default_rng(0).standard_normal((2, n)).astype("f") + np.float32(0.5)
    wide = a.astype("d")
    found = activation_summary(a)
    assert size(a) == pytest.approx(np.linalg.norm(wide), rel=1e-12)
    assert (found.norm, found.mean) == pytest.approx((np.linalg.norm(wide), wide.mean()), rel=1e-12)
    assert found.variance == pytest.approx(wide.var(), rel=1e-9)
    assert dot(a, b) == pytest.approx(wide @ b.astype("d"), rel=1e-12)
    assert dot(np.stack([a, b]), np.stack([a, b]).T.copy().T) == pytest.approx(
        wide @ wide + b.astype("d") @ b, rel=1e-6
    )


@pytest.mark.parametrize("n", [SAMPLE - 1, SAMPLE, SAMPLE + 1])
def test_a_histogram_is_of_all_elements_up_to_a_sample(n):
    values = np.logspace(-5, 5, n)
    whole = np.histogram(np.log10(values), LOG_EDGES)[0] / n
    found = gradient_summary(values).histogram
    assert np.array_equal(found, whole) == (n <= SAMPLE)
    np.testing.assert_allclose(found, whole, atol=0.04)


@pytest.mark.parametrize("power", [-126, -124, 124, 126])
def test_norms_on_both_sides_of_where_squares_are_trusted(power):
    assert size(np.array([3.0, 4.0]) * 10.0**power) == pytest.approx(5 * 10.0**power, rel=1e-14)
