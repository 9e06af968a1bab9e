"""Batch norm, with what follows it, and its adjoint on every rung of the CPU."""

import itertools

import numpy as np
import pytest
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.settings import Running

RUNGS = pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
WAYS = list(itertools.product([True, False], repeat=3))  # training, relu, residual


def both(rung, x, weight, bias, residual, g, mean, variance, y=None, *, training=True, relu=False, signs_from_x=False):
    """Everything that the two kernels write; the backward one is given `y` where the rungs' might differ in sign."""
    for a in (x, weight, bias, residual, g):
        if a is not None:
            a.flags.writeable = False
    out, dx, dresidual = (np.full(x.shape, np.nan, x.dtype) for _ in range(3))
    dweight, dbias = (np.full(x.shape[1], np.nan, x.dtype) for _ in range(2))
    dresidual = None if residual is None else dresidual
    mean, variance = (np.full_like(v, np.nan) if training else v.copy() for v in (mean, variance))
    how = {"eps": 1e-5, "training": training, "relu": relu}
    assert rung.batch_norm(x, weight, bias, residual, out, mean, variance, **how) is out
    y = out if y is None else y
    y = None if signs_from_x else y
    assert rung.batch_norm_dx(g, x, y, weight, bias, mean, variance, dx, dweight, dbias, dresidual, **how) is dx
    return [out, mean, variance, dx, dweight, dbias, *([] if dresidual is None else [dresidual])]


def arrays(M, C, seed, dtype, with_residual=False):
    rng = np.random.default_rng(seed)
    x, weight, bias, residual, g, mean = (
        rng.standard_normal(s).astype(dtype) for s in ((M, C), C, C, (M, C), (M, C), C)
    )
    return x, weight, bias, residual if with_residual else None, g, mean, rng.uniform(0.5, 2, C).astype(dtype)


@pytest.mark.parametrize(("training", "relu", "with_residual"), WAYS)
def test_the_reference_is_its_definition_and_its_adjoint(training, relu, with_residual):
    x, weight, bias, residual, g, fixed_mean, fixed_variance = arrays(7, 3, 0, "d", with_residual)
    way = {"training": training, "relu": relu}
    y, mean, variance, *derivatives = both(reference, x, weight, bias, residual, g, fixed_mean, fixed_variance, **way)
    dx, dweight, dbias = derivatives[:3]

    def f(x, weight, bias, residual=0.0):
        mean, variance = (x.mean(0), x.var(0)) if training else (fixed_mean, fixed_variance)
        plain = (x - mean) / np.sqrt(variance + 1e-5) * weight + bias + residual
        return np.maximum(plain, 0) if relu else plain

    point = [x, weight, bias, *([residual] if with_residual else [])]
    np.testing.assert_allclose(y, f(*point), rtol=1e-12)
    expected = (x.mean(0), x.var(0)) if training else (fixed_mean, fixed_variance)
    np.testing.assert_allclose((mean, variance), expected, rtol=1e-12)
    for k, derivative in enumerate((dx, dweight, dbias, *derivatives[3:])):
        direction = np.random.default_rng(k).standard_normal(point[k].shape)
        ends = []
        for sign in (1, -1):
            moved = [p + sign * 1e-6 * direction if i == k else p for i, p in enumerate(point)]
            ends.append((g * f(*moved)).sum())
        assert (derivative * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-8)


def test_a_large_mean_costs_no_digits():
    x = (np.random.default_rng(0).standard_normal((4096, 16)) + 1000).astype("f")
    one, zero = np.ones(16, "f"), np.zeros(16, "f")
    y = both(cpu, x, one, zero, None, x.copy(), zero, one)[0]
    wide = x.astype("d")
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=2e-4)  # one rounding of x itself is 6e-5


@pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("M", [7, 64])
def test_without_a_sum_the_signs_follow_from_x(rung, training, M):
    rng = np.random.default_rng(0)
    x, weight, bias, _, g, *fixed = arrays(M, 5, 0, "f")
    x = (rng.choice([-1.0, 1.0], x.shape) + 0.1 * x).astype("f")  # nowhere near the kink
    weight, bias = np.sign(weight), 0.1 * np.sign(bias)
    fixed = [0 * fixed[0], 0 * fixed[1] + 1]
    way = {"training": training, "relu": True}
    expected = both(reference, x, weight, bias, None, g, *fixed, **way)
    for a, b in zip(both(rung, x, weight, bias, None, g, *fixed, **way, signs_from_x=True), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@RUNGS
def test_a_constant_channel_has_no_variance_and_first_rows_may_be_outliers(rung):
    x = np.full((300, 2), 7.25, "f")
    x[:, 1] = np.random.default_rng(0).standard_normal(300)
    x[:64, 1] += 100
    one, zero = np.ones(2, "f"), np.zeros(2, "f")
    y, mean, variance, *_ = both(rung, x, one, zero, None, x.copy(), zero, one)
    np.testing.assert_array_equal(y[:, 0], 0)
    assert variance[0] == 0
    np.testing.assert_allclose(mean, x.astype("d").mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance[1], x[:, 1].astype("d").var(), rtol=1e-5)


@RUNGS
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("row", [0, 200])
@np.errstate(invalid="ignore")
def test_what_is_not_finite_stays_in_its_channel_and_passes_the_relu(rung, bad, row):
    x, weight, bias, residual, g, *fixed = arrays(256, 3, 0, "f", True)
    x[row, 1] = bad
    y, mean, variance, dx, *_ = both(rung, x, weight, bias, residual, g, *fixed, relu=True)
    assert np.isnan(y[:, 1]).all() if np.isnan(bad) else np.isnan(y[row, 1])
    np.testing.assert_array_equal(mean[1], bad)
    assert np.isnan(variance[1])
    for a in (y, dx):
        assert np.isfinite(a[:, [0, 2]]).all()
    residual = residual.copy()
    residual[5, 0] = np.nan
    x = np.where(np.isfinite(x), x, 0).astype("f")
    assert np.isnan(both(rung, x, weight, bias, residual, g, *fixed, relu=True)[0][5, 0])


@RUNGS
def test_an_infinite_cotangent_is_lost_where_the_relu_is_off(rung):
    x, weight, bias, _, g, *fixed = arrays(64, 4, 0, "f")
    y = both(reference, x, weight, bias, None, g, *fixed, training=False, relu=True)[0]
    g = np.where(y > 0, g, np.inf).astype("f")
    dx = both(rung, x, weight, bias, None, g, *fixed, y, training=False, relu=True)[3]
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
def test_what_passed_the_relu_can_be_had_without_y(rung):
    g = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    x = np.array([[1.0, -1.0], [-2.0, 2.0], [3.0, -3.0]])
    one, zero, passed = np.ones(2), np.zeros(2), np.full((3, 2), np.nan)
    how = {"eps": 0.0, "training": False, "relu": True}
    rung.batch_norm_dx(g, x, None, one, zero, zero, one, np.empty((3, 2)), one.copy(), one.copy(), passed, **how)
    np.testing.assert_array_equal(passed, np.where(x > 0, g, 0))


RUNNING = [np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0]), np.array([41])]


@pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
@pytest.mark.parametrize("kept", list(itertools.product([True, False], repeat=3)), ids=str)
def test_running_statistics_move_each_by_itself_into_arrays_of_their_own(rung, kept):
    x = np.random.default_rng(0).standard_normal((20, 3))
    one, mean, variance = np.ones(3), np.empty(3), np.empty(3)
    old = [a if there else None for a, there in zip(RUNNING, kept, strict=True)]
    new = [None if a is None else np.full_like(a, -77) for a in old]
    how = {"eps": 1e-5, "training": True, "relu": False, "momentum": 0.25}
    rung.batch_norm(x, one, one, None, np.empty_like(x), mean, variance, Running(*old, *new), **how)
    moved = 0.75 * RUNNING[0] + 0.25 * x.mean(0), 0.75 * RUNNING[1] + 0.25 * x.var(0, ddof=1), [42]
    for found, expected in zip(new, moved, strict=True):
        if found is not None:
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert [a.tolist() for a in RUNNING] == [[1.0, -2.0, 0.5], [0.5, 2.0, 1.0], [41]]
