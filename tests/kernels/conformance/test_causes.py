"""The heading of a fault names its cause, and not what the first case that showed it happened to have besides."""

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col

from tests.kernels.conformance.causes import CAUSES

QUICK = ("a maximum from 0", "winners not added", "rows of taps", "class 0", "softmax that overflows", "over C - 1",
         "Adam's eps inside", "log of a little more")  # fmt: skip


@pytest.mark.parametrize(
    "fault", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CAUSES]
)
def test_the_heading_names_the_cause_and_there_is_one_kind(fault):
    op, kernel, heading, means = CAUSES[fault]
    report = conformance.check(kernel, op, examples=20)
    (kind,) = report.kinds
    where, _, _ = kind.name.rpartition(": " if heading not in kind.name.partition(",")[0] else ": gives")
    assert kind.name.startswith(heading), str(report)
    assert heading == "a small error" or where == heading, str(report)
    assert means in kind.means
    assert means or not kind.means, "nothing is said of what is not known"


@pytest.mark.parametrize("fault", ["a maximum from 0", "winners not added", "class 0"])
def test_the_example_is_as_small_as_the_cause_allows(fault):
    """One pixel of -1, one that two windows point at, and one row: others failed first."""
    op, kernel, *_ = CAUSES[fault]
    (kind,) = conformance.check(kernel, op, examples=0, dtypes=["float64"]).kinds
    assert kind.example.case.elements <= {"max_pool2d": 3, "max_pool2d_dx": 7, "cross_entropy": 6}[op]


def test_an_example_with_wrong_numbers_is_preferred_to_one_without_any_number():
    op, kernel, *_ = CAUSES["over C - 1"]
    (kind,) = conformance.check(kernel, op, examples=0, dtypes=["float64"]).kinds
    assert np.isfinite(kind.example.outputs["scale"]).all()


def test_half_a_number_written_is_one_kind_that_is_not_called_an_addition():
    """C's float * where the arrays hold doubles: it writes the first half of the memory."""

    def kernel(x, out, s):
        made = np.empty(out.shape, "float32")
        im2col.relu(x.astype("float32"), made, s)
        out.reshape(-1).view("float32")[: out.size] = made.reshape(-1)

    report = conformance.check(kernel, "relu", examples=0, dtypes=["float64"])
    text = str(report)
    assert "held before" not in text.replace("what was there before", "")
    assert "float where double is needed" in " ".join(text.split())
