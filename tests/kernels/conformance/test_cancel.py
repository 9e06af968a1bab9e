"""Norms whose variance is E[x^2] - E[x]^2: one kind of failure, and the cause in a sentence."""

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.conformance import check


def batch_norm(x, weight, bias, residual, out, mean, variance, running, s):
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
    if s.training:
        variance[...] = (x * x).mean(0) - mean * mean


def layer_norm(x, weight, bias, out, mean, scale, s):
    im2col.layer_norm(x, weight, bias, out, mean, scale, s)
    with np.errstate(all="ignore"):
        scale[...] = 1 / np.sqrt((x * x).mean(1) - mean * mean + s.eps)


def of_a_sample(x, weight, bias, residual, out, mean, variance, running, s):
    im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
    if s.training and len(x) > 1:
        variance *= len(x) / (len(x) - 1)


def mean_off(x, weight, bias, residual, out, mean, variance, running, s):
    batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
    mean += 1 if s.training else 0


@pytest.mark.parametrize("kernel", [batch_norm, layer_norm])
def test_squares_that_cancel_are_named(kernel):
    report = check(kernel, kernel.__name__, examples=0)
    (kind,) = report.kinds
    assert kind.means.startswith("It seems to compute the variance as E[x^2] - E[x]^2")
    assert "((x - mean) ** 2).mean()" in str(report)


@pytest.mark.parametrize("kernel", [of_a_sample, mean_off])
def test_another_fault_of_the_statistics_is_not_put_down_to_it(kernel):
    report = check(kernel, "batch_norm", examples=0)
    assert not report.ok
    assert not any("E[x^2]" in kind.means for kind in report.kinds)


def by(variance):
    """Layer norm in the dtype itself, its mean rounded to it."""

    def kernel(x, weight, bias, out, mean, scale, s):
        mean[...] = x.mean(1)
        with np.errstate(all="ignore"):
            scale[...] = 1 / np.sqrt(variance(x, mean[:, None]) + x.dtype.type(s.eps))
            out[...] = (x - mean[:, None]) * scale[:, None] * (1 if weight is None else weight)
        out += 0 if bias is None else bias

    return kernel


def updated(x, mean):
    """Welford's update."""
    centre, total = np.zeros_like(x[:, 0]), np.zeros_like(x[:, 0])
    for i in range(x.shape[1]):
        off = x[:, i] - centre
        centre = centre + off / x.dtype.type(i + 1)
        total = total + off * (x[:, i] - centre)
    return total / x.dtype.type(x.shape[1])


@pytest.mark.parametrize(
    "variance", [lambda x, mean: ((x - mean) ** 2).mean(1), updated], ids=["two passes", "updated"]
)
def test_a_sound_variance_in_the_dtype_itself_conforms(variance):
    report = check(by(variance), "layer_norm")
    assert report.ok, str(report)


def test_the_formula_is_blamed_only_for_errors_of_the_size_that_it_makes():
    """A scale off by a little more than it may be, where E[x^2] - E[x]^2 would be off by fifty times as much."""

    def a_little(x, weight, bias, out, mean, scale, s):
        im2col.layer_norm(x, weight, bias, out, mean, scale, s)
        scale *= 1 + 12 * np.finfo(x.dtype).eps * abs(mean)

    (kind,) = check(a_little, "layer_norm", examples=0, dtypes=["float64"]).kinds
    assert "E[x^2]" not in kind.means
    (kind,) = check(by(lambda x, mean: (x * x).mean(1) - mean[:, 0] ** 2), "layer_norm", examples=0).kinds
    assert "E[x^2]" in kind.means
