"""The contract of every operation: what it refuses, what it answers itself, and what a body is handed."""

import importlib
import textwrap

import numpy as np
import pytest
from tinyres_kernels import conformance, contract, cpu, im2col, reference
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.dispatch import each
from tinyres_kernels.settings import AvgPool, Conv, MaxPool, Norm, Relu, Running

from tests.each import for_each

EACH = for_each("op", OPERATIONS)
RUNGS = pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])


def made(op, dtype="float64", **changes):
    """The arrays of a plain call one by one, by name, and its keywords."""
    declared = conformance.OPS[op]
    case = Case(declared, "plain", {**declared.family.plain, **changes}, dtype)
    outputs = {a.name: np.full(case.shape(a), 7, a.dtype or dtype) for a in case.writes}
    return case, case.inputs() | outputs


def never(*arguments):
    raise AssertionError("a kernel was called")


# -- the declarations -------------------------------------------------------------------------------------------------
@EACH
def test_what_conformance_declares_is_what_the_contract_does(op):
    operation, declared = OPERATIONS[op], conformance.OPS[op]
    assert tuple(declared.order) == operation.order
    for changes in ({}, {"training": False} if op == "batch_norm" else {}):
        case, arrays = made(op, **changes)
        s = operation.settings and operation.settings(**case.keywords)
        assert {a.name for a in case.writes} == operation.written(s) & arrays.keys()
    assert OPERATIONS.keys() == conformance.OPS.keys()


def test_which_arrays_may_be_left_out():
    optional = {op: operation.optional for op, operation in OPERATIONS.items() if operation.optional}
    assert optional == {
        "batch_norm": ("residual", "running"),
        "batch_norm_dx": ("y", "dresidual"),
        "linear": ("b",),
        "layer_norm": ("weight", "bias"),
        "layer_norm_dx": ("weight", "dweight", "dbias"),
        "rms_norm": ("weight",),
        "rms_norm_dx": ("weight", "dweight"),
        "sgd": ("buffer", "new_buffer"),
        "adam": ("m", "v"),
        "rmsprop": ("v", "a", "b", "new_a", "new_b"),
    }


@pytest.mark.parametrize("rung", [reference, im2col], ids=["reference", "im2col"])
@EACH
def test_every_rung_has_a_body_for_it_of_that_signature(op, rung):
    from inspect import signature

    assert list(signature(getattr(rung, op)).parameters) == list(signature(OPERATIONS[op].admit).parameters)
    assert getattr(rung, op).__doc__


# -- what it refuses --------------------------------------------------------------------------------------------------
@EACH
def test_every_array_of_another_shape_is_refused_before_anything_is_written(op):
    case, arrays = made(op)
    for name in OPERATIONS[op].order:
        for wrong in (arrays[name][None], np.concatenate([arrays[name]] * 2, -1)):
            given = {**arrays, name: wrong}
            before = {key: a.tobytes() for key, a in given.items()}
            with pytest.raises(ValueError):
                call(op, never, [given[key] for key in OPERATIONS[op].order], case.keywords)
            assert before == {key: a.tobytes() for key, a in given.items()}, name


@RUNGS
@EACH
def test_every_set_of_kernels_stands_behind_the_contract(rung, op):
    case, arrays = made(op)
    arrays["out"] = np.full((*arrays["out"].shape, 2), 7.0)
    with pytest.raises(ValueError):
        getattr(rung, op)(
            *OPERATIONS[op].gathered([arrays.get(name) for name in OPERATIONS[op].order]), **case.keywords
        )
    assert (arrays["out"] == 7).all()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size", "message"),
    [
        ((4, 3), (1, 1), (0, 0), (1, 1), "the kernel does not fit"),
        ((1, 1), (1, 1), (1, 0), (5, 3), "padding"),  # a window of padding
        ((2, 2), (2, 2), (0, 0), (2, 1), "has 1 x 1 windows"),
    ],
)
def test_windows_that_do_not_fit_are_refused(kernel, stride, padding, size, message):
    x, out, how = np.zeros((1, 3, 3, 1)), np.zeros((1, *size, 1)), {"kernel": kernel, "stride": stride}
    with pytest.raises(ValueError, match=message):
        im2col.avg_pool2d(x, out, padding=padding, count_include_pad=True, **how)
    with pytest.raises(ValueError, match=message):
        im2col.max_pool2d(x, out, np.zeros(out.shape, np.int32), padding=padding, dilation=(1, 1), **how)


RUNNING = [np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0]), np.array([41])]


@pytest.mark.parametrize(
    ("rows", "training", "old", "message"),
    [
        (20, False, RUNNING, "move in training, with two pixels or more, got training=False and 20"),
        (1, True, RUNNING, "with two pixels or more, got training=True and 1"),
        (20, True, [None, *RUNNING[1:]], r"must both be \(3,\), got None and \(3,\)"),
        (20, True, [*RUNNING[:2], np.array([1, 2])], r"must both be \(1,\), got \(2,\) and \(1,\)"),
    ],
)
def test_running_statistics_that_cannot_move_are_refused(rows, training, old, message):
    x, one = np.ones((rows, 3)), np.ones(3)
    out, new = np.zeros_like(x), [np.zeros_like(a) for a in RUNNING]
    how = Norm(1e-5, training, False, 0.25)
    with pytest.raises(ValueError, match=message):
        im2col.batch_norm(x, one, one, None, out, np.zeros(3), np.zeros(3), Running(*old, *new), how)
    assert not any(a.any() for a in (out, *new))


@EACH
def test_results_that_cannot_be_written_in_place_are_refused(op):
    if op in ("sgd", "adam", "rmsprop"):
        return  # whose layout is the kernels' to see
    case, arrays = made(op)
    s = OPERATIONS[op].settings and OPERATIONS[op].settings(**case.keywords)
    for name in OPERATIONS[op].written(s):
        if arrays[name].size > 1:
            given = {**arrays, name: np.repeat(arrays[name], 2, -1)[..., ::2]}
            with pytest.raises(ValueError, match=r"C-contiguous|element by element"):
                call(op, never, [given[key] for key in OPERATIONS[op].order], case.keywords)


def test_what_has_no_statistics_and_no_loss_is_refused():
    none, line = np.ones((0, 2)), np.ones(2)
    with pytest.raises(ValueError, match="training needs at least one pixel"):
        im2col.batch_norm(none, line, line, None, none, line, line, eps=0.1, training=True, relu=False)
    rows = np.ones((3, 0))
    with pytest.raises(ValueError, match="3 rows of no class"):
        im2col.cross_entropy(rows, np.zeros(3, int), np.ones(3), rows)


# -- what it answers itself -------------------------------------------------------------------------------------------
EMPTY = {
    "conv2d": [{"N": 0}, {"OG": 0}],
    "conv2d_dx": [{"N": 0}, {"CG": 0}, {"OG": 0}],
    "conv2d_dw": [{"N": 0}, {"CG": 0}, {"OG": 0}],
    **{op: [{"N": 0}, {"CG": 0}] for op in OPERATIONS if "pool" in op},
    "batch_norm": [{"C": 0}, {"M": 0, "training": False}],
    "batch_norm_dx": [{"M": 0, "training": False}, {"C": 0}],
    "cross_entropy": [{"M": 0}, {"M": 0, "C": 0}],
    **{
        op: [{"M": 0}]
        for op in (
            "cross_entropy_dx",
            "bce_with_logits",
            "bce_with_logits_dx",
            "add",
            "relu",
            "relu_dx",
            "activation",
            "activation_dx",
            "softmax",
            "softmax_dx",
            "layer_norm",
            "layer_norm_dx",
            "rms_norm",
            "rms_norm_dx",
        )
    },
    **{op: [{"axes": (0,)}, {"axes": (3, 0)}] for op in ("sgd", "adam", "rmsprop")},
    "matmul": [{"M": 0}, {"K": 0}, {"N": 0}],
    "linear": [{"M": 0}, {"K": 0, "bias": False}, {"N": 0}],
    "column_sums": [{"M": 0}, {"C": 0}],
    "attention": [{"B": 0}, {"H": 0}, {"L": 0}],
    "attention_dx": [{"B": 0}, {"H": 0}, {"L": 0}, {"S": 0}],
}


NOTHING = [(op, changes) for op, cases in EMPTY.items() for changes in cases]


@pytest.mark.parametrize(("op", "changes"), NOTHING, ids=str)
def test_empty_arrays_come_to_no_kernel_and_every_result_is_written(op, changes):
    case, arrays = made(op, **changes)
    order = OPERATIONS[op].order
    assert call(op, never, [arrays.get(name) for name in order], case.keywords) is arrays["out"]
    for arg in case.writes:
        if arg.name == "new_batches":
            assert arrays["new_batches"] == arrays["batches"] + 1
        else:
            assert not arrays[arg.name].any(), "a sum of nothing is zero"


def test_a_convolution_over_no_channels_is_zero():
    out = np.full((1, 3, 3, 2), np.nan)
    s = Conv((1, 1), (1, 1), (1, 1), 1)
    assert contract.kernel("conv2d", never)(np.ones((1, 3, 3, 0)), np.ones((3, 3, 0, 2)), out, s) is out
    assert (out == 0).all()


# -- what a body is handed --------------------------------------------------------------------------------------------
def test_settings_come_in_one_object_or_by_keyword():
    seen = []
    relu = contract.kernel("relu", lambda *arguments: seen.append(arguments))
    x, out = np.ones(3), np.ones(3)
    assert relu(x, out, Relu(0.5)) is relu(x, out, slope=0.5) is out
    assert [s for _, _, s in seen] == [Relu(0.5)] * 2
    assert contract.kernel("relu", relu) is relu, "once is enough"
    with pytest.raises(TypeError, match=r"conv2d needs stride, .* not given: dilation, groups"):
        im2col.conv2d(x, x, out, stride=(1, 1), padding=(0, 0))
    with pytest.raises(TypeError, match="relu has the settings slope; not among them: slop"):
        relu(x, out, slop=0.5)
    with pytest.raises(TypeError, match="add has the settings none; not among them: slope"):
        im2col.add(x, x, out, slope=1)


def test_running_statistics_come_in_one_object_or_not_at_all():
    seen = []
    norm = contract.kernel("batch_norm", lambda *arguments: seen.append(arguments[7:]))
    x, line, how = np.ones((4, 2)), np.ones(2), {"eps": 0.1, "training": True, "relu": False}
    arrays = x, line, line, None, np.empty_like(x), line.copy(), line.copy()
    running = Running(mean=line, new_mean=line.copy())
    norm(*arrays, running, Norm(**how))
    norm(*arrays, **how)
    assert seen == [(running, Norm(0.1, True, False, 0.0)), (None, Norm(0.1, True, False, 0.0))]
    gathered = OPERATIONS["batch_norm"].gathered([*arrays, line, None, None, running.new_mean])
    assert len(gathered) == 8
    assert gathered[7][3] is running.new_mean
    assert OPERATIONS["batch_norm"].gathered(arrays)[7] is None
    doubled = each([x, None, running, Norm(**how)], lambda a: 2 * a)
    assert (doubled[0] == 2).all()
    assert doubled[1] is doubled[2].var is None
    assert (doubled[2].new_mean == 2).all()
    assert doubled[3] == Norm(**how)


def test_axes_are_those_of_the_window():
    rows, cols = Conv((2, 1), (1, 0), (1, 2), 1).axes((1, 7, 9, 2), (3, 4, 2, 5), (1, 4, 3, 5))
    assert rows == (7, 4, 3, 2, 1, 1)
    assert cols == (9, 3, 4, 1, 0, 2)
    rows, cols = MaxPool((3, 2), (2, 1), (1, 0), (1, 3)).axes((1, 7, 9, 2), (1, 4, 6, 2))
    assert (rows, cols) == ((7, 4, 3, 2, 1, 1), (9, 6, 2, 1, 0, 3))
    assert AvgPool((3, 2), (2, 1), (1, 0), True).axes((1, 7, 9, 2), (1, 4, 8, 2))[1] == (9, 8, 2, 1, 0, 1)


# -- what callers get wrong -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("rung", ["reference", "im2col", "cpu"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_lines_are_lines(rung, shape):
    kernels, x, out = importlib.import_module(f"tinyres_kernels.{rung}"), np.ones(shape), np.full(shape, 7.0)
    for call_it in (
        lambda: kernels.add(x, x, out),
        lambda: kernels.relu(x, out, Relu(0.0)),
        lambda: kernels.relu_dx(x, x, out, slope=0.0),
    ):
        with pytest.raises(ValueError, match=r"needed are lines \(M,\), got shape"):
            call_it()
    assert (out == 7).all()


@pytest.mark.parametrize("wrong", [0.1, None, Norm(1e-5, True, False)])
def test_settings_of_another_kind_are_refused(wrong):
    with pytest.raises(TypeError, match=r"relu: the last argument must be a Relu \(or its fields, by keyword\), got"):
        im2col.relu(np.ones(3), np.empty(3), wrong)


def test_arrays_that_have_to_be_there():
    x = np.ones(3)
    with pytest.raises(TypeError, match="relu: x must not be None"):
        im2col.relu(None, x, Relu(0.0))
    settings = {"lr": 1.0, "beta1": 0.9, "beta2": 0.9, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False, "step": 1}
    with pytest.raises(TypeError, match="adam: new_m must not be None"):
        im2col.adam(x, x, None, None, np.empty(3), None, None, **settings)


def test_pairs_may_come_as_lists_and_nothing_else():
    x, w, out = np.ones((1, 4, 4, 2)), np.ones((3, 3, 2, 5)), np.empty((1, 4, 4, 5))
    how = {"stride": [1, 1], "padding": [1, 1], "dilation": (1, 1), "groups": 1}
    assert im2col.conv2d(x, w, out, **how) is out
    with pytest.raises(TypeError, match=r"padding must be a pair \(vertical, horizontal\), got 1"):
        im2col.conv2d(x, w, out, **how | {"padding": 1})


def test_the_example_of_the_contract_conforms():
    text = contract.__doc__[contract.__doc__.index("    def relu") : contract.__doc__.index("    mine =")]
    scope = {"np": np}
    exec(textwrap.dedent(text), scope)
    assert not conformance.check(scope["relu"], "relu", examples=20).failures
