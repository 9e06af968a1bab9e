"""Sums and ReLUs on every rung of the CPU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.cpu import elementwise

RUNGS = pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf]


def run(rung, a, b, slope):
    """Of each kernel what it wrote over NaN."""
    out = [np.full(a.shape, np.nan, a.dtype) for _ in range(3)]
    for given_array in (a, b):
        given_array.flags.writeable = False
    with np.errstate(invalid="ignore"):
        assert rung.add(a, b, out[0]) is out[0]
        assert rung.relu(a, out[1], slope=slope) is out[1]
        assert rung.relu_dx(b, a, out[2], slope=slope) is out[2]
    return out


@RUNGS
@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 70),
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from("fd"),
    slope=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_it_is_the_reference_to_the_bit(rung, size, seed, dtype, slope):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    for values in (a, b):
        places = rng.random(size) < 0.3
        values[places] = rng.choice(SPECIAL, places.sum())
    for found, expected in zip(run(rung, a, b, slope), run(reference, a, b, slope), strict=True):
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)


def test_the_reference_is_its_definition():
    a, b = np.array([-2.0, 3.0, -np.inf, np.nan]), np.array([1.0, np.inf, np.inf, 4.0])
    total, y, dx = run(reference, a, b, 0.0)
    np.testing.assert_array_equal(total, [-1, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(y, [0, 3, 0, np.nan])
    np.testing.assert_array_equal(dx, [0, np.inf, 0, 0])
    _, y, dx = run(reference, a, b, 0.25)
    np.testing.assert_array_equal(y, [-0.5, 3, -np.inf, np.nan])
    np.testing.assert_array_equal(dx, [0.25, np.inf, np.inf, 1])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("size", [0, 1, 6, 1001])
def test_shares_meet_whatever_the_number_of_threads(size, threads):
    a, b = (np.random.default_rng(k).standard_normal(size) for k in range(2))
    expected = run(reference, a, b, 0.25)
    found = [np.full(size, np.nan) for _ in range(3)]
    elementwise._add(threads, a, b, found[0])
    elementwise._relu(threads, a, found[1], 0.25, True)
    elementwise._relu_dx(threads, b, a, found[2], 0.25, True)
    np.testing.assert_array_equal(found, expected)


@RUNGS
def test_a_sum_may_be_written_over_its_first_term(rung):
    a, b = (np.random.default_rng(k).standard_normal(1 << 20).astype("f") for k in range(2))  # enough for two threads
    expected = a + b
    assert rung.add(a, b, a) is a
    np.testing.assert_array_equal(a, expected)


@RUNGS
def test_every_number_of_a_large_array_is_written(rung):
    a, b = (np.random.default_rng(k).standard_normal((1 << 20) + 3).astype("f") for k in range(2))
    total, y, dx = run(rung, a, b, 0.5)
    np.testing.assert_array_equal(total, a + b)
    np.testing.assert_array_equal(y, np.where(a > 0, a, a * np.float32(0.5)))
    np.testing.assert_array_equal(dx, np.where(a > 0, b, b * np.float32(0.5)))


@pytest.mark.parametrize(("size", "threads"), [(208_000, 1), (2048 * 128, 2)])
def test_few_numbers_are_added_by_one_thread_and_the_stream_of_a_small_gpt_by_all(size, threads):
    assert cpu.explain("add", (size,), (size,), (size,), threads=2).threads == threads
