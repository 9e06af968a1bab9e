"""Each classical fault: its kind, a small example with a wrong element, and the picture, all on the first screen."""

import re

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance.picture import LEGEND
from tinyres_kernels.conformance.signature import lines

from tests.kernels.conformance.classical import FAULTS
from tests.kernels.conformance.faulty import around

SCREEN = 24  # lines, of 80 characters


def first_screen(report):
    """The lines that fit; a long one takes two."""
    text = "\n".join([*lines(report.op), "", str(report)]).splitlines()
    taken = np.cumsum([max(1, -(-len(line) // 80)) for line in text])
    return [line for line, last in zip(text, taken, strict=True) if last <= SCREEN]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_screen_names_the_kind_and_shows_an_example_and_the_picture(fault):
    op, kernel, kind, says = FAULTS[fault]
    report = conformance.check(kernel, op, examples=60)
    assert report.kinds[0].name.startswith(kind), str(report)
    assert len(report.kinds) == 1, str(report)
    assert report.smallest is report.kinds[0].example
    assert report.smallest.wrong >= 1
    assert report.smallest.case.elements > 0
    shown = first_screen(report)
    one_line = " ".join(" ".join(shown).split())
    assert "DOES NOT CONFORM" in one_line
    assert f"1. {kind}" in one_line, shown
    assert says in one_line, shown
    assert "smallest failing example: x (" in one_line
    assert any(LEGEND in line for line in shown), shown
    drawn = shown[next(i for i, line in enumerate(shown) if LEGEND in line) + 1 :]
    assert any(re.fullmatch(r" +\d+( [.XN])*( [XN])( [.XN])*", line) for line in drawn), shown


def test_two_faults_are_two_kinds_each_with_an_example_of_its_own():
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s._replace(dilation=(1, 1))) if s.dilation == (1, 1) else out.fill(0)
        if s.groups > 1:
            out[..., -1] = 0

    report = conformance.check(kernel, "conv2d", examples=40, dtypes=["float64"])
    assert {kind.needs[0] for kind in report.kinds} == {"dilation > 1", "groups > 1"}
    for kind in report.kinds:
        assert kind.example.wrong
        assert not kind.example.ok
    text = str(report)
    assert text.count("smallest failing example") == 2
    assert "2 kinds of failure: " in text.splitlines()[2]


ENDS = {
    "the last row of out": np.s_[:, -1], "the last column of out": np.s_[:, :, -1],
    "the first channel of out": np.s_[..., 0], "the first row of out": np.s_[:, 0],
}  # fmt: skip


@pytest.mark.parametrize("where", ENDS)
def test_what_is_wrong_at_one_end_alone_is_named_by_that_end(where):
    """In a case of one pixel every element is wrong: the example is one that shows right elements as well."""

    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        out[ENDS[where]] += 1

    report = conformance.check(kernel, "conv2d", examples=10)
    assert [kind.name for kind in report.kinds] == [f"{where}: gives wrong numbers"]
    (marks,) = report.kinds[0].example.marks.values()
    assert 0 < report.kinds[0].example.wrong < marks.size
    assert f"1. {where}: gives wrong numbers" in str(report)


def test_what_is_wrong_everywhere_is_not_put_down_to_an_end():
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        out *= 2

    (kind,) = conformance.check(kernel, "conv2d", examples=10).kinds
    assert kind.name == "every case: gives wrong numbers"


def test_a_fault_beside_one_of_every_case_is_a_kind_of_its_own():
    """Two that fail in the plainest case, and are not to stand under one head."""

    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if s.groups > 1:
            out[...] = 0
        out[:, :, -1] *= 2

    report = conformance.check(kernel, "conv2d", examples=10)
    assert [kind.name for kind in report.kinds] == [
        "the last column of out: gives wrong numbers", "groups > 1: gives wrong numbers",
    ]  # fmt: skip
    assert str(report).count("smallest failing example") == 2


def test_a_fault_of_one_dtype_or_of_a_nan_is_named_so():
    def only_float32(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if out.dtype == np.float32:
            out += 1

    (kind,) = conformance.check(only_float32, "conv2d", examples=10).kinds
    assert kind.needs == ["float32"]
    assert kind.name == "every float32 case: gives wrong numbers"
    spread = around(after=lambda x, out: np.add(out, 0 * x.sum(), out=out))
    kinds = conformance.check(spread, "conv2d", examples=10).kinds
    assert all(re.fullmatch(r"(a NaN|an infinity|a NaN or an infinity) in x", kind.needs[-1]) for kind in kinds)
    assert "a NaN or an infinity in x" in [need for kind in kinds for need in kind.needs]


def test_what_is_written_to_an_input_is_drawn():
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if s.groups > 1:
            x[0, 0, 0, 0] += 1

    report = conformance.check(kernel, "conv2d", examples=10, dtypes=["float64"])
    (kind,) = report.kinds
    assert kind.name == "groups > 1: writes to an input"
    assert "x[n=0, :, :, c=0]    rows: h, columns: w" in str(report)


def test_a_kernel_that_raises_is_told_by_its_error_and_no_element_is_called_wrong():
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if s.groups > 1:
            out[..., -1] = np.nan
            raise RuntimeError("enough")

    report = conformance.check(kernel, "conv2d", examples=10, dtypes=["float64"])
    (kind,) = report.kinds
    assert kind.name == "groups > 1: raises an error"
    assert kind.example.wrong == 0
    assert "raised RuntimeError: enough (line " in str(report)


def test_empty_cases_are_never_the_example():
    empty = conformance.OPS["conv2d"].cases["empty batch"]
    assert empty.changes == {"N": 0}
    for _, (op, kernel, *_) in list(FAULTS.items())[:3]:
        report = conformance.check(kernel, op, examples=0, dtypes=["float64"])
        assert all(kind.example.case.structure["N"] > 0 for kind in report.kinds)


def test_a_graver_fault_of_some_cases_does_not_hide_one_of_all():
    """eps in the wrong place everywhere, and running statistics that are forgotten in training."""

    def kernel(x, weight, bias, residual, out, mean, variance, running, s):
        im2col.batch_norm(x, weight, bias, residual, out, mean, variance, None, s._replace(eps=2 * s.eps))

    kinds = conformance.check(kernel, "batch_norm", examples=0, dtypes=["float64"]).kinds
    forgotten, *wrong = kinds
    assert forgotten.name == (
        "training=True and running statistics: leaves new_mean, new_var and new_batches unwritten"
    )
    titles = {finding.case.title for finding in forgotten.findings}
    assert "plain" in titles
    assert not any(title.startswith(("evaluation", "no running")) for title in titles)
    assert {kind.sign for kind in wrong} == {"wrong"}
    titles = {finding.case.title for kind in wrong for finding in kind.findings}
    assert {"evaluation", "no running statistics", "plain"} <= titles


def test_sizes_that_the_stride_does_not_divide_are_named_and_no_place_is_said_to_be_right_that_is_not():
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if s.stride[0] > 1 and not any(s.padding):
            out[:, x.shape[1] // s.stride[0] :] = 0

    report = conformance.check(kernel, "conv2d", examples=0, dtypes=["float64"])
    assert report.kinds[0].needs == ["stride > 1 of the rows", "h of x is no multiple of the stride"]
    assert "is ever wrong" not in str(report)


def norm_with(change):
    """Batch norm done right, and then changed."""

    def kernel(x, weight, bias, residual, out, mean, variance, running, s):
        im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
        change(x, weight, bias, residual, out, mean, variance, running, s)

    return kernel


def test_a_fault_of_every_case_is_one_kind_that_says_so():
    """eps outside the root: evaluation fails as training does."""

    def outside(x, weight, bias, residual, out, mean, variance, running, s):
        out[...] = (x - mean) / (np.sqrt(variance) + s.eps) * weight + bias + (0 if residual is None else residual)
        if s.relu:
            np.maximum(out, 0, out=out)

    report = conformance.check(norm_with(outside), "batch_norm", examples=0, dtypes=["float64"])
    (kind,) = report.kinds
    assert kind.name == "several pixels: gives wrong numbers", "of one pixel nothing is left but the bias"
    assert {id(f) for f in kind.findings} == {id(f) for f in report.failures}
    assert any(not f.case.structure["training"] for f in kind.findings)


def test_what_only_float32_does_is_named_so_also_where_the_plain_case_does_it():
    def beyond(x, out, s):
        im2col.relu(x, out, s)
        if out.dtype == np.float32:
            out.base[:] = np.nan

    (kind,) = conformance.check(beyond, "relu", examples=0).kinds
    assert kind.name == "every float32 case: writes beyond a result"


def test_the_same_error_in_the_same_line_is_one_kind():
    def kernel(x, w, out, s):
        if x.shape[3] > 16:
            raise NotImplementedError(f"C is {x.shape[3]}")
        im2col.conv2d(x, w, out, s)

    (kind,) = conformance.check(kernel, "conv2d", examples=0, dtypes=["float64"]).kinds
    assert kind.name == "17 channels or more: raises an error"
    assert "depthwise, 65 channels" in {f.case.title for f in kind.findings}


def test_the_same_diagnosis_is_one_kind():
    def kernel(x, w, out, s):
        if w.shape[0] == w.shape[1]:
            w = np.ascontiguousarray(w.transpose(1, 0, 2, 3))
        im2col.conv2d(x, w, out, s)

    report = conformance.check(kernel, "conv2d", examples=0)
    (kind,) = report.kinds
    assert kind.means == "It exchanges the rows and columns of the weights."
    assert {id(f) for f in kind.findings} == {id(f) for f in report.failures}


def test_what_is_not_repeatable_is_one_kind_and_nothing_else_is_said_of_it():
    rng = np.random.default_rng(0)

    def sometimes_more(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if rng.random() < 0.2:
            out.reshape(-1)[rng.integers(out.size)] += 1

    def sometimes_raises(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if rng.random() < 0.2:
            raise RuntimeError("not now")

    for kernel in (sometimes_more, sometimes_raises):
        report = conformance.check(kernel, "conv2d", examples=20)
        (kind,) = report.kinds
        assert kind.name == (
            "not repeatable: the same call twice gives different results, so pasting the example may pass"
        )
        assert 0 < len(kind.findings) <= len(report.counted)
        assert len(str(report).splitlines()) < 70
        assert "held before" not in str(report)


@pytest.mark.slow
def test_no_case_is_counted_twice_where_each_has_one_fault():
    for op, kernel, *_ in list(FAULTS.values())[:4]:
        report = conformance.check(kernel, op, examples=0, dtypes=["float64"])
        assert sum(len(kind.findings) for kind in report.kinds) <= len(report.failures)


def test_nothing_is_said_of_every_failing_case_that_an_example_shows_to_be_false():
    def forgetful(x, weight, bias, residual, out, mean, variance, running, s):
        if s.training:
            out += 1

    report = conformance.check(norm_with(forgetful), "batch_norm", examples=10)
    text = " ".join(str(report).split())
    assert "running None" in text, "one pixel has no statistics to move"
    assert "every failing case has running statistics" not in text


def test_an_error_is_shown_with_its_line_before_what_was_written_to_and_all_of_that_is_listed():
    def kernel(x, weight, bias, residual, out, mean, variance, running, s):
        im2col.batch_norm(x, weight, bias, residual, out, mean, variance, None, s)
        if running is not None:
            running.mean[...], running.var[...] = 0, 0
            running.batches += 1

    report = conformance.check(kernel, "batch_norm", examples=0, dtypes=["float64"])
    text = " ".join(str(report).split())
    assert "raised AttributeError" in text
    assert "running.batches += 1)" in text
    assert "wrote to its inputs running_mean, running_var and batches" in text
