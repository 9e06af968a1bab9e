"""Views, a result that shares memory with an input, and numbers that cancel: what each contract allows is tried."""

import numpy as np
import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance.adapt import Adapt
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.layouts import OF_LINES, VIEWS
from tinyres_kernels.conformance.report import snippet

OPS = list(conformance.OPS)
FEW = ("conv2d", "matmul", "add", "batch_norm", "attention", "sgd", "max_pool2d_dx")


def named(op, title, dtype="float64"):
    cases = conformance.search.cases(op, examples=0, dtypes=[dtype])
    return next((case for case in cases if case.title == title), None)


@pytest.mark.parametrize("op", OPS)
def test_every_input_of_every_operation_is_a_view_in_some_case(op):
    strided = set()
    for lies, what in VIEWS.items():
        case = named(op, f"views ({what})")
        if case is None:
            assert lies not in OF_LINES
            assert all(len(case.shape(arg)) == 1 for case in [named(op, "plain")] for arg in case.reads)
            continue
        given = _given(case)
        flat = [one for a in given for one in (a if isinstance(a, tuple) else (a,))]
        strided |= {i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and not a.flags.c_contiguous}
        assert examine(getattr(im2col, op), case).ok
    several = [a for a in named(op, "plain").reads if max(named(op, "plain").shape(a)) > 1]
    assert len(strided) == len(several)


def _given(case):
    """What a kernel gets in this case."""
    given = []
    call(case.op.name, lambda *arrays: given.extend(arrays), [*map(_laid(case), case.arguments)], case.keywords)
    return given


def _laid(case):
    inputs = case.copies(case.inputs())
    made = {a.name: np.zeros(case.shape(a), a.dtype or case.dtype) for a in case.writes}
    return lambda arg: {**inputs, **made}[arg.name] if arg else None


def flat_product(a, b, out):
    """As C has it that knows no strides."""
    memory = [np.lib.stride_tricks.as_strided(m, m.shape, (m.shape[1] * m.itemsize, m.itemsize)) for m in (a, b)]
    out[...] = memory[0].astype("float64") @ memory[1].astype("float64")


def test_a_kernel_that_takes_its_inputs_to_be_contiguous_is_told_so():
    assert examine(flat_product, named("matmul", "plain")).ok
    report = conformance.check(flat_product, "matmul", examples=0)
    assert [kind.needs for kind in report.kinds] == [["inputs that are views"]]
    kind = report.kinds[0]
    assert kind.means.startswith("It takes an input to be C-contiguous; one may be a view")
    assert "inputs that are views (transposed)" in " ".join(str(report).split())
    assert {f.case.title for f in kind.findings} == {f"views ({what})" for what in VIEWS.values()}


def test_a_sum_into_one_of_its_terms_is_tried():
    def kernel(a, b, out):
        out[...] = 0
        out += a
        out += b

    report = conformance.check(kernel, "add", examples=5, dtypes=["float32"])
    assert [kind.needs for kind in report.kinds] == [["out is a"], ["out is b"]]
    assert "begins to write out, which may be the same array" in " ".join(str(report).split())
    assert conformance.check(im2col.add, "add", examples=0).ok
    code = snippet(kernel, named("add", "out is b"))
    shown = []
    exec(code.replace("kernel = ...", "kernel = given"), {"given": kernel, "print": lambda *a, sep: shown.append(a)})
    assert not np.array_equal(*(one for (one,) in shown)), "the example shows the fault"


def test_where_copies_are_handed_over_it_says_that_none_were_views():
    report = conformance.check(lambda *given: im2col.add(*given), "add", examples=0, adapt=Adapt(returned=True))
    assert not {f.case.title for f in report.named} & {"out is a", "views (every second element)"}

    def norm(x, w, out, s):
        x, w = (np.ascontiguousarray(a.transpose(o)) for a, o in ((x, (0, 2, 3, 1)), (w, (2, 3, 1, 0))))
        made = np.empty(out.transpose(0, 2, 3, 1).shape, out.dtype)
        im2col.conv2d(x, w, made, s)
        out[...] = made.transpose(0, 3, 1, 2)

    report = conformance.check(norm, "conv2d", examples=0, adapt=Adapt("nchw"))
    assert report.ok
    assert "No case had views as inputs, or an out that shares memory." in str(report)
    assert "No case had views" not in str(conformance.check(im2col.add, "add", examples=0))


@pytest.mark.parametrize("op", OPS)
def test_list_says_in_one_sentence_what_may_be_a_view_and_what_may_be_shared(op, capsys):
    assert command.main(["list", op]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "Inputs may be views with any strides (transposed, every second element, a part of the columns, reversed); "
        in text
    )
    assert ("out may be a or b." in text) == (op == "add")
    unseen = sum(not case.possible for case in conformance.search.cases(op, examples=0, dtypes=["float64"]))
    assert text.count("(your kernel never sees it") == unseen


def naive_norm(x, weight, bias, residual, out, mean, variance, running, s):
    if s.training:
        im2col.batch_norm(x, weight, bias, residual, out, mean, variance, running, s)
        mean[...] = x.mean(axis=0)
        variance[...] = np.maximum((x * x).mean(axis=0) - mean**2, 0)
    y = (x - mean) / np.sqrt(variance + s.eps) * weight + bias + (0 if residual is None else residual)
    out[...] = np.maximum(y, 0) if s.relu else y


def naive_layer_norm(x, weight, bias, out, mean, scale, s):
    mean[...] = x.mean(axis=1)
    scale[...] = 1 / np.sqrt(np.maximum((x * x).mean(axis=1) - mean**2, 0) + s.eps)
    made = (x - mean[:, None]) * scale[:, None]
    out[...] = made * (1 if weight is None else weight) + (0 if bias is None else bias)


CANCELLING = {"batch_norm": naive_norm, "layer_norm": naive_layer_norm}


@pytest.mark.parametrize("op", CANCELLING)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_variance_from_the_mean_of_squares_does_not_get_by(op, dtype):
    case = named(op, "numbers that are large beside their spread", dtype)
    assert examine(getattr(im2col, op), case).ok
    finding = examine(CANCELLING[op], case)
    assert "elements are wrong" in " ".join(finding.faults)


@pytest.mark.parametrize("op", ["batch_norm", "batch_norm_dx", "layer_norm", "layer_norm_dx", "softmax", "attention"])
def test_numbers_that_are_large_beside_their_spread_are_tried(op):
    title = "logits" if op in ("softmax", "attention") else "numbers"
    case = named(op, f"{title} that are large beside their spread", "float32")
    x = case.inputs()["k" if op == "attention" else "x"].astype("float64")
    assert abs(x).mean() > 50 * x.std()
    assert examine(getattr(im2col, op), case).ok
