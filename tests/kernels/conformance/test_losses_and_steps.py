"""Faults planted in losses, optimiser steps, sums and ReLUs: each is caught, and named in words."""

from unittest import mock

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col

from tests.kernels.conformance.faulty import rewritten


def first_row_only(out, right):
    out[:1] = right[:1]


def with_settings(op, change):
    """`op` with some of its settings changed by `change(settings)`."""

    def kernel(*arguments):
        *arrays, s = arguments
        getattr(im2col, op)(*arrays, s._replace(**change(s._asdict())))

    return kernel


def one_never_subtracted(g, probabilities, target, out):
    return np.multiply(probabilities, g[:, None], out=out)


def top_never_subtracted(x, target, out, probabilities):
    np.exp(x, out=probabilities)
    total = probabilities.sum(axis=1)
    np.log(total, out=out)
    out -= x[np.arange(len(x)), target]
    probabilities /= total[:, None]
    return out


def naive_softplus(x, target, out):
    out[...] = np.log1p(np.exp(x)) - target * x
    return out


def difference_in_the_tails(g, x, target, out):
    out[...] = g * (1 / (1 + np.exp(-x)) - target)
    return out


def spread_never_clipped(*arguments):
    with mock.patch.object(np, "maximum", lambda value, least: value):
        im2col.rmsprop(*arguments)


def slope_on_the_wrong_side(x, out, s):
    out[...] = np.where(x >= 0, x * x.dtype.type(s.slope) if s.slope else 0, x)
    return out


def passed_on_at_zero(g, y, out, s):
    out[...] = np.where(y >= 0, g, g * g.dtype.type(s.slope) if s.slope else 0)
    return out


def mask_as_a_factor(g, y, out, s):
    out[...] = g * np.where(y > 0, 1, s.slope)
    return out


PLANTED = {  # the operation, the kernel, what fails by name, and what the report must say
    "first row of cross_entropy": ("cross_entropy", rewritten("cross_entropy", first_row_only), "plain",
        ["still hold what was there before", "every failing case has several rows, and none that passes"]),
    "overflow of cross_entropy": ("cross_entropy", top_never_subtracted, "large logits (nothing may overflow)",
        ["got inf, needed 0", "got nan, needed 1"]),
    "one at the target": ("cross_entropy_dx", one_never_subtracted, "one class", ["no case passes at all"]),
    "first row of cross_entropy_dx": ("cross_entropy_dx", rewritten("cross_entropy_dx", first_row_only), "two classes",
        ["every failing case has several rows, and none that passes"]),
    "overflow of bce": ("bce_with_logits", naive_softplus, "large logits (nothing may overflow)",
        ["1. large logits: gives wrong numbers", "got inf, needed 918.099"]),
    "first logit only": ("bce_with_logits", rewritten("bce_with_logits", first_row_only), "plain",
        ["every failing case has several logits, and none that passes"]),
    "cancellation in bce_dx": ("bce_with_logits_dx", difference_in_the_tails, "logits in the tails",
        ["every failing case has large logits"]),
    "dampening forgotten": ("sgd", with_settings("sgd", lambda s: {"dampening": 0.0}), "dampening",
        ["1. a later step and still=False and dampening", "every failing case has dampening (and momentum)"]),
    "nesterov forgotten": ("sgd", with_settings("sgd", lambda s: {"nesterov": False}), "first step, nesterov",
        ["every failing case has nesterov (and momentum), and none that passes"]),
    "decay forgotten": ("sgd", with_settings("sgd", lambda s: {"weight_decay": 0.0}), "weight decay",
        ["every failing case has weight decay, and none that passes"]),
    "first row of sgd": ("sgd", rewritten("sgd", first_row_only), "a vector of 17 (tail)",
        ["every failing case has several numbers"]),
    "correction of the step before": ("adam", with_settings("adam", lambda s: {"step": s["step"] - 1}),
        "first step", ["raised ZeroDivisionError", "out: "]),
    "correction of the first step": ("adam", with_settings("adam", lambda s: {"step": 1}), "plain",
        ["every failing case has a later step"]),
    "decay never decoupled": ("adam", with_settings("adam", lambda s: {"decoupled": False}),
        "decoupled, weight decay", ["every failing case has weight decay, decoupled, and none that passes"]),
    "eps forgotten": ("adam", with_settings("adam", lambda s: {"eps": 0.0}), "a large eps", ["out: "]),
    "spread never clipped": ("rmsprop", spread_never_clipped, "a variance rounded to below 0",
        ["centred"]),
    "momentum at half": ("rmsprop", with_settings("rmsprop", lambda s: {"momentum": s["momentum"] / 2}), "plain",
        ["every failing case has momentum"]),
    "first number of a sum": ("add", rewritten("add", first_row_only), "17 numbers (tail)",
        ["every failing case has several numbers, and none that passes", "no element of out with m < 1 is ever wrong"]),
    "slope on the wrong side": ("relu", slope_on_the_wrong_side, "plain", ["elements are wrong"]),
    "slope forgotten": ("relu", with_settings("relu", lambda s: {"slope": 0.0}), "slope 0.2",
        ["every failing case has a slope"]),
    "passed on at zero": ("relu_dx", passed_on_at_zero, "many numbers", ["elements are wrong"]),
    "mask as a factor": ("relu_dx", mask_as_a_factor, "infinity where nothing passes",
        ["every failing case has a NaN or an infinity among the inputs"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_in_a_loss_a_step_or_a_sum_is_named(fault):
    op, kernel, title, said = PLANTED[fault]
    report = conformance.check(kernel, op, examples=8, dtypes=["float64"])
    assert title in {finding.case.title for finding in report.failures}
    text = " ".join(str(report).split())  # lines are wrapped
    for words in said:
        assert words in text, text
