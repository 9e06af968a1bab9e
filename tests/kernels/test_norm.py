"""Batch norm and its adjoint on every rung of the CPU."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinyres_kernels import cpu, im2col, reference

RUNGS = pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])


def both(rung, x, weight, bias, g, eps=1e-5):
    for a in (x, weight, bias, g):
        a.flags.writeable = False
    y, dx = (np.full(x.shape, np.nan, x.dtype) for _ in range(2))
    mean, variance, dweight, dbias = (np.full(x.shape[1], np.nan, x.dtype) for _ in range(4))
    assert rung.batch_norm(x, weight, bias, y, mean, variance, eps=eps) is y
    assert rung.batch_norm_dx(g, x, weight, mean, variance, dx, dweight, dbias, eps=eps) is dx
    return y, mean, variance, dx, dweight, dbias


def arrays(M, C, seed, dtype):
    draw = np.random.default_rng(seed).standard_normal
    return [draw(s).astype(dtype) for s in ((M, C), C, C, (M, C))]


@RUNGS
@settings(max_examples=60, deadline=None)
@given(M=st.integers(2, 70), C=st.integers(1, 40), seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from("fd"))
def test_it_is_the_reference(rung, M, C, seed, dtype):
    given_arrays = arrays(M, C, seed, dtype)
    given_arrays[0] = given_arrays[0] * 2 + 3
    for a, b in zip(both(rung, *given_arrays), both(reference, *given_arrays), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=(3e-3 if M < 6 else 2e-4) if dtype == "f" else 1e-9)


def test_the_reference_is_its_definition_and_its_adjoint():
    x, weight, bias, g = arrays(7, 3, 0, "d")
    y, mean, variance, dx, dweight, dbias = both(reference, x, weight, bias, g)

    def f(x, weight, bias):
        centred = x - x.mean(0)
        return centred / np.sqrt((centred**2).mean(0) + 1e-5) * weight + bias

    np.testing.assert_allclose(y, f(x, weight, bias), rtol=1e-12)
    np.testing.assert_allclose((mean, variance), (x.mean(0), x.var(0)), rtol=1e-12)
    for k, derivative in enumerate((dx, dweight, dbias)):
        point = [x, weight, bias]
        direction = np.random.default_rng(k).standard_normal(point[k].shape)
        ends = []
        for sign in (1, -1):
            moved = [p + sign * 1e-6 * direction if i == k else p for i, p in enumerate(point)]
            ends.append((g * f(*moved)).sum())
        assert (derivative * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-8)


def test_a_large_mean_costs_no_digits():
    x = (np.random.default_rng(0).standard_normal((4096, 16)) + 1000).astype("f")
    one, zero = np.ones(16, "f"), np.zeros(16, "f")
    y = both(cpu, x, one, zero, x.copy())[0]
    wide = x.astype("d")
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=2e-4)  # one rounding of x itself is 6e-5
