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
