"""exp and log1p of the compiled kernels, against the C library in more digits."""

import numpy as np
import pytest
from numba import njit
from tinyres_kernels.cpu.elementary import exp, log1p
from tinyres_kernels.cpu.softmax import exponentials, largest

INF, NAN = np.inf, np.nan


@njit(error_model="numpy")
def exps(x, out):
    for i in range(len(x)):
        out[i] = exp(x[i])


@njit(error_model="numpy")
def log1ps(x, out):
    for i in range(len(x)):
        out[i] = log1p(x[i])


@njit
def row(x, x0, count, out):
    top = largest(x, x0, count)
    return top, exponentials(x, x0, count, top, out, x0)


def of(function, x):
    out = np.full_like(x, -7)
    function(x, out)
    return out


def worst(found, exact):
    """In units of the last place of what is right, where a number that small has its own."""
    return (abs(found.astype(np.longdouble) - exact) / np.spacing(exact.astype(found.dtype))).max()


def test_exp_of_every_float32_of_some_and_of_float64_over_the_whole_range():
    every = np.arange(0, 1 << 32, 1021, dtype=np.uint64).astype(np.uint32).view(np.float32)
    every = every[(every > -104) & (every < 88.72)]
    close = np.linspace(-1, 1, 400_001, dtype=np.float32)
    for x in (every, close):
        assert worst(of(exps, x), np.exp(x.astype(np.float64))) < 2
    rng = np.random.default_rng(0)
    for low, high in ((-745, 709.78), (-1, 1), (-1e-9, 1e-9)):
        x = rng.uniform(low, high, 400_000)
        assert worst(of(exps, x), np.exp(x.astype(np.longdouble))) < 2


@pytest.mark.parametrize(("dtype", "low", "high"), [("f", -104, 89), ("d", -746, 710)])
def test_exp_beyond_the_range(dtype, low, high):
    x = np.array([0, -0.0, INF, -INF, NAN, high, low, 1e38, -1e38, np.finfo(dtype).tiny], dtype)
    np.testing.assert_array_equal(of(exps, x), np.array([1, 1, INF, 0, NAN, INF, 0, INF, 0, 1], dtype))


def test_log1p_from_0_to_1():
    rng = np.random.default_rng(0)
    for dtype, more in ((np.float32, np.float64), (np.float64, np.longdouble)):
        drawn = rng.uniform(0, 1, 300_000), 10.0 ** rng.uniform(-30, 0, 300_000)
        x = np.concatenate([*drawn, [1, 0.4142135, 0.4142137]]).astype(dtype)
        assert worst(of(log1ps, x), np.log1p(x.astype(more))) < 2
        np.testing.assert_array_equal(of(log1ps, np.array([0, NAN], dtype)), [0, NAN])


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("count", [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100, 1000])
def test_a_row_has_its_largest_and_its_sum_and_nothing_beside_it_is_touched(dtype, count):
    x = (3 * np.random.default_rng(count).standard_normal(count + 9)).astype(dtype)
    x[:5] = x[5 + count :] = 1e30
    out = np.full_like(x, 9)
    top, total = row(x, 5, count, out)
    own = slice(5, 5 + count)
    assert top == x[own].max()
    np.testing.assert_allclose(out[own], np.exp(x[own] - top), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_allclose(total, out[own].astype("d").sum(), rtol=(8 + count / 8) * np.finfo(dtype).eps)
    assert (np.delete(out, range(5, 5 + count)) == 9).all()
