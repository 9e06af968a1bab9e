"""What the report shows: an example to paste, a picture, the same cases for the same seed."""

import re

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.picture import picture
from tinyres_kernels.conformance.report import _nth, call, snippet

from tests.kernels.conformance.faulty import around, groups_mixed, plain


def test_the_snippet_reproduces_the_example():
    report = conformance.check(groups_mixed("conv2d"), "conv2d", examples=20, dtypes=["float32"])
    text = str(report).partition("to reproduce it\n")[2]
    shown = []
    code = "\n".join(line[4:] for line in text.splitlines())
    assert "kernel = ...  # tests" in code
    code = code.replace("kernel = ...", "kernel = given")
    exec(code, {"given": report.kernel, "print": lambda *arrays, sep: shown.append(arrays)})
    (right,), (wrong,) = shown
    assert right.dtype == np.float32
    marks = report.smallest.marks["out"]
    np.testing.assert_array_equal(marks == "X", right != wrong)


def test_the_picture_shows_the_wrong_elements_and_says_what_it_leaves_out():
    def spoil(x, out):
        out[1, 0, :2, 1] = 0, np.nan
        out[0, 2, 44] += 1
        return out

    finding = examine(around(after=spoil), plain(N=2, hw=(25, 50), kernel=(1, 1), OG=7))
    lines = picture(finding).splitlines()
    assert lines[1] == "out[n=0, :, :, o=0]    rows: oh, columns: ow"
    assert lines[2] == "     1" + " " * 19 + "2" + " " * 19 + "3" + " " * 19 + "4"
    assert lines[3].endswith("8 9  (10 to 49 of 50)"), "a wrong element is shown, wherever it lies"
    assert lines[6] == "   2 " + ". " * 34 + "X" + " ." * 5
    assert "     (rows 0 to 19 of 25)" in lines
    assert lines[-1] == "... and 4 more such grids with something wrong"
    finding = examine(
        around(after=lambda x, out: (out.__setitem__((0, 1, slice(2)), [[0], [np.nan]]), out)[1]),
        plain(hw=(2, 3), kernel=(1, 1), OG=1),
    )
    assert picture(finding).splitlines()[2:] == ["     0 1 2", "   0 . . .", "   1 X N ."]


def test_the_same_seed_draws_the_same_cases_and_another_one_others():
    def drawn(seed):
        findings = conformance.check(im2col.avg_pool2d, "avg_pool2d", examples=10, seed=seed, dtypes=["float32"]).drawn
        return [(finding.case.structure, finding.case.seed) for finding in findings]

    first = drawn(3)
    assert len(first) == 10
    assert first == drawn(3)
    assert first != drawn(4)


def test_what_check_cannot_check_is_said():
    with pytest.raises(ValueError, match="got op 'conv3d', needed one of conv2d, "):
        conformance.check(im2col.conv2d, "conv3d")
    with pytest.raises(TypeError, match="got a kernel of type str"):
        conformance.check("conv2d", "conv2d")
    with pytest.raises(ValueError, match="float16"):
        conformance.check(im2col.conv2d, "conv2d", dtypes=["float16"])


def rounded(to):
    """A matrix product whose terms were rounded on the way."""

    def matmul(a, b, out):
        out[...] = a.astype(to) @ b.astype(to)

    return matmul


def test_what_was_rounded_on_the_way_is_told_with_digits_that_differ():
    text = str(conformance.check(rounded("float32"), "matmul", examples=10))
    assert "1. every float64 case: " in text
    assert "It seems to round to float32 on the way" in text
    came, needed = re.search(r"got (\S+),\s+needed\s+(\S+)\s", text).groups()
    assert came != needed
    assert "images" not in text
    half = str(conformance.check(rounded("float16"), "matmul", examples=10))
    assert "It seems to round to float16 on the way" in half
    wrong = str(conformance.check(groups_mixed("conv2d"), "conv2d", examples=5))
    assert "on the way" not in wrong


def to_bfloat16(a):
    """The nearest number of 8 binary digits."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def test_bfloat16_is_not_taken_for_float16():
    def matmul(a, b, out):
        out[...] = to_bfloat16(a) @ to_bfloat16(b)

    assert "It seems to round to bfloat16 on the way" in str(conformance.check(matmul, "matmul", examples=0))


def test_a_small_term_in_the_wrong_place_is_not_taken_for_rounding():
    """sqrt(variance) + eps, for sqrt(variance + eps): off by a millionth."""

    def layer_norm(x, weight, bias, out, mean, scale, s):
        im2col.layer_norm(x, weight, bias, out, mean, scale, s)
        root = x.std(axis=1, keepdims=True) + s.eps
        weighted = (x - x.mean(axis=1, keepdims=True)) / root
        out[...] = weighted * (1 if weight is None else weight) + (0 if bias is None else bias)

    report = conformance.check(layer_norm, "layer_norm", examples=0)
    assert not report.ok
    assert "on the way" not in str(report)
    assert not any("on the way" in fault for finding in report.named for fault in finding.faults)


def test_the_headline_is_plain_english_and_each_kind_has_its_example_to_paste():
    report = conformance.check(groups_mixed("conv2d"), "conv2d", examples=20)
    first = str(report).splitlines()[1]
    assert re.fullmatch(
        r"cases: \d+ of the \d+ that were run fail; drawn cases, counted as one: the (first|second|third|\d+th) fails",
        first,
    )
    assert str(report).count("to reproduce") == len(report.kinds)


@pytest.mark.parametrize(
    ("number", "told"),
    [(1, "first"), (3, "third"), (4, "4th"), (11, "11th"), (21, "21st"), (102, "102nd"), (113, "113th")],
)
def test_ordinals(number, told):
    assert _nth(number) == told


@pytest.mark.parametrize(
    ("op", "title", "told", "line"),
    [
        ("batch_norm", "evaluation, no residual", "residual None, running None, eps", "residual = running = None"),
        ("adam", "first step", "m None, v None, lr", "m = v = None"),
    ],
)
def test_what_a_case_does_not_have_goes_by_its_name_and_the_snippet_runs(op, title, told, line):
    (case,) = (one for one in conformance.search.cases(op, examples=0, dtypes=["float64"]) if one.title == title)
    assert told in call(case)
    assert " None, None" not in call(case)
    kernel = getattr(im2col, op)
    code = snippet(kernel, case)
    assert line in code.splitlines()
    shown = []
    exec(code.replace("kernel = ...", "kernel = given"), {"given": kernel, "print": lambda *a, sep: shown.append(a)})
    for right, ours in zip(*shown, strict=True):
        np.testing.assert_allclose(right, ours)


def test_running_statistics_are_given_by_their_names():
    plain = conformance.search.cases("batch_norm", examples=0, dtypes=["float64"])[0]
    assert "settings.Running(mean=running_mean, var=running_var, " in snippet(im2col.batch_norm, plain)
