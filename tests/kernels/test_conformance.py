"""The checker is checked: each planted fault is caught and named, and our own kernels conform."""

import builtins
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance, cpu, im2col, reference
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import GUARD, adjoint, examine
from tinyres_kernels.conformance.picture import picture

CONVOLUTIONS = ["conv2d", "conv2d_dx", "conv2d_dw"]
WINDOWS = [*CONVOLUTIONS, "max_pool2d", "max_pool2d_dx", "max_pool2d_take", "avg_pool2d", "avg_pool2d_dx"]
DILATED = [op for op in WINDOWS if not op.startswith("avg")]


def bent(op, bend):
    """The specification of `op` with both of its axes bent. They know which pixels exist, so it never crashes."""

    def kernel(*args, **static):
        with (
            mock.patch.object(reference.conv, "conv_axes", lambda *a: [bend(axis) for axis in conv_axes(*a)]),
            mock.patch.object(reference.pool, "pool_axes", lambda *a: [bend(axis) for axis in pool_axes(*a)]),
        ):
            return getattr(reference, op)(*args, **static)

    conv_axes, pool_axes = reference.conv.conv_axes, reference.pool.pool_axes
    return kernel


def rewritten(op, write):
    """`op` done right, and then brought into `out` by `write(out, right)`."""

    def kernel(*args, **static):
        place = OUT[op]
        right = np.empty_like(args[place])
        getattr(im2col, op)(*args[:place], right, *args[place + 1 :], **static)
        write(args[place], right)
        return args[place]

    return kernel


OUT = {op: declared.order.index("out") for op, declared in conformance.OPS.items()}


def padding_on_one_side(axis):
    return axis._replace(padding=2 * axis.padding)


def stride_off_by_one(axis):
    return axis._replace(stride=axis.stride + (axis.stride > 1))


def dilation_ignored(axis):
    return axis._replace(dilation=1)


def last_tile_dropped(out, right):
    out[...] = 0
    whole = out.shape[2] // 4 * 4
    out[:, :, :whole] = right[:, :, :whole]


def last_tile_forgotten(out, right):
    whole = out.shape[-1] // 4 * 4
    out[..., :whole] = right[..., :whole]


def tiles_added_where_they_overlap(out, right):
    out[...] = 0
    width = out.shape[2]
    for start in range(0, width, 4):
        tile = slice(max(0, min(start, width - 4)), start + 4)
        out[:, :, tile] += right[:, :, tile]  # of columns; of a weight gradient's channels


def added_to_what_was_there(out, right):
    out += right


def groups_mixed(op):
    def kernel(first, second, out, *, groups, **static):
        own = first[..., : first.shape[-1] // groups]
        return getattr(im2col, op)(np.concatenate([own] * groups, -1), second, out, groups=groups, **static)

    return kernel


CONV_FAULTS = {  # the kernel, and what the report must say
    "wrong padding side": (bent("conv2d", padding_on_one_side), ["every failing case has padding > 0"]),
    "dropped last tile": (
        rewritten("conv2d", last_tile_dropped),
        ["ow of out is no multiple of 4 in every failing case", "got 0, needed", "0 X"],
    ),
    "off-by-one stride": (bent("conv2d", stride_off_by_one), ["every failing case has stride > 1", "0 . X"]),
    "groups mixed": (
        groups_mixed("conv2d"),
        ["every failing case has groups > 1", "all wrong elements of out belong to groups after the first"],
    ),
    "dilation ignored": (bent("conv2d", dilation_ignored), ["every failing case has dilation > 1"]),
    "overlapping writes": (
        rewritten("conv2d", tiles_added_where_they_overlap),
        ["no element of out with ow < 1 is ever wrong", ". X X X ."],
    ),
    "uninitialised output: added to": (
        rewritten("conv2d", added_to_what_was_there),
        ["out: what it held before shows in 1 of 1 elements", "0 X"],
    ),
    "uninitialised output: not written": (
        rewritten("conv2d", last_tile_forgotten),
        ["1 of 1 elements still hold what was there before", "o of out is no multiple of 4", "0 N"],
    ),
}


@pytest.mark.parametrize("fault", CONV_FAULTS)
def test_a_planted_fault_is_named(fault):
    kernel, said = CONV_FAULTS[fault]
    report = conformance.check(kernel, "conv2d", examples=40, dtypes=["float64"])
    assert not report.ok
    assert report.found, "drawn cases catch it too"
    assert not report.smallest.case.refused
    assert all(size <= 5 for size in report.smallest.case.shape(report.smallest.case.writes[0]))
    text = str(report)
    assert "DOES NOT CONFORM" in text
    for words in said:
        assert words in text, text


ELSEWHERE = [
    *((bent, bend, op) for bend in (padding_on_one_side, stride_off_by_one) for op in WINDOWS if op != "conv2d"),
    *((bent, dilation_ignored, op) for op in DILATED if op != "conv2d"),
    *(
        (rewritten, write, op)
        for write in (last_tile_dropped, last_tile_forgotten, tiles_added_where_they_overlap, added_to_what_was_there)
        for op in WINDOWS
        if op != "conv2d"
    ),
]


def test_assert_conforms_raises_with_the_report():
    with pytest.raises(AssertionError, match=r"DOES NOT CONFORM[^$]*groups > 1"):
        conformance.assert_conforms(groups_mixed("conv2d"), "conv2d", examples=0)


WHERE = {
    padding_on_one_side: "padding",
    stride_off_by_one: "asymmetric stride",
    dilation_ignored: "dilation 2",
    last_tile_dropped: "width 33 (tile tail)",
    last_tile_forgotten: "3 channels",
    tiles_added_where_they_overlap: "width 33 (tile tail)",
    added_to_what_was_there: "plain",
}


@pytest.mark.parametrize(
    ("plant", "fault", "op"), ELSEWHERE, ids=[f"{op}-{fault.__name__}" for _, fault, op in ELSEWHERE]
)
def test_it_is_caught_in_every_operation(plant, fault, op):
    report = conformance.check(plant(op, fault), op, examples=0, dtypes=["float64"])
    titles = {finding.case.title for finding in report.failures}
    assert WHERE[fault] in titles or "17 channels (tile tail)" in titles
    assert "empty batch" not in titles or op == "conv2d_dw"  # whose result is not empty


@pytest.mark.parametrize("op", CONVOLUTIONS[1:])
def test_mixed_groups_are_caught_in_both_adjoints(op):
    report = conformance.check(groups_mixed(op), op, examples=0, dtypes=["float64"])
    assert "every failing case has groups > 1, and none that passes" in str(report)
    assert {"groups 2", "depthwise"} <= {finding.case.title for finding in report.failures}


def first_row_only(out, right):
    out[:1] = right[:1]


def with_settings(op, change):
    """`op` with some of its settings changed by `change(settings)`."""

    def kernel(*args, **settings):
        return getattr(im2col, op)(*args, **{**settings, **change(settings)})

    return kernel


def one_never_subtracted(g, probabilities, target, out):
    return np.multiply(probabilities, g[:, None], out=out)


def top_never_subtracted(x, target, out, probabilities):
    if len(x) != len(target) or len(x) != len(out) or x.shape != probabilities.shape:
        raise ValueError("these do not fit")
    np.exp(x, out=probabilities)
    total = probabilities.sum(axis=1)
    np.log(total, out=out)
    out -= x[np.arange(len(x)), target]
    probabilities /= total[:, None]
    return out


def naive_softplus(x, target, out):
    if not x.shape == target.shape == out.shape:
        raise ValueError("these do not fit")
    out[...] = np.log1p(np.exp(x)) - target * x
    return out


def difference_in_the_tails(g, x, target, out):
    if not g.shape == x.shape == target.shape == out.shape:
        raise ValueError("these do not fit")
    out[...] = g * (1 / (1 + np.exp(-x)) - target)
    return out


def spread_never_clipped(*args, **settings):
    with mock.patch.object(np, "maximum", lambda value, least: value):
        return im2col.rmsprop(*args, **settings)


def slope_on_the_wrong_side(x, out, *, slope):
    out[...] = np.where(x >= 0, x * x.dtype.type(slope) if slope else 0, x)
    return out


def passed_on_at_zero(g, y, out, *, slope):
    out[...] = np.where(y >= 0, g, g * g.dtype.type(slope) if slope else 0)
    return out


def mask_as_a_factor(g, y, out, *, slope):
    out[...] = g * np.where(y > 0, 1, slope)
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
        ["got inf, needed 538.716"]),
    "first logit only": ("bce_with_logits", rewritten("bce_with_logits", first_row_only), "plain",
        ["every failing case has several logits, and none that passes"]),
    "cancellation in bce_dx": ("bce_with_logits_dx", difference_in_the_tails, "logits in the tails",
        ["every failing case has large logits"]),
    "dampening forgotten": ("sgd", with_settings("sgd", lambda s: {"dampening": 0.0}), "dampening",
        ["every failing case has dampening (and momentum)", "every failing case has a later step"]),
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
        ["every failing case has centred"]),
    "momentum at half": ("rmsprop", with_settings("rmsprop", lambda s: {"momentum": s["momentum"] / 2}), "plain",
        ["every failing case has momentum", "every failing case has a later step"]),
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
    text = str(report)
    for words in said:
        assert words in text, text


@pytest.mark.parametrize("rung", [reference, im2col, cpu], ids=["reference", "im2col", "cpu"])
@pytest.mark.parametrize("op", conformance.OPS)
def test_our_own_kernels_conform(rung, op):
    conformance.assert_conforms(getattr(rung, op), op, examples=6)


@pytest.mark.parametrize("rung", [im2col, cpu], ids=["im2col", "cpu"])
@pytest.mark.parametrize("op", CONVOLUTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_padding_is_nothing_or_zeros(rung, op, value):
    case = plain(op, N=2, hw=(6, 7), CG=3, OG=3, padding=(1, 1))
    first, second = case.inputs().values()
    second[(0, 2, 2, 1) if op == "conv2d_dw" else (0, 0, 1, 1)] = value  # of one channel: the others stay as they are
    out = case.writes[0]
    expected, found = np.full((2, *case.shape(out)), np.nan)
    with np.errstate(invalid="ignore"):
        reference_, kernel = getattr(reference, op), getattr(rung, op)
        reference_(first, second, expected, **case.keywords)
        kernel(first, second, found, **case.keywords)
    elsewhere = ~(np.isnan(found) & ~np.isnan(expected))
    inside = np.ones(found.shape, bool) if op == "conv2d_dw" else np.zeros(found.shape, bool)
    inside[:, 1:-1, 1:-1] = True  # all terms are pixels there
    assert elsewhere[inside].all()
    assert 0 < np.isfinite(expected).mean() < 1
    np.testing.assert_allclose(found[elsewhere], expected[elsewhere], rtol=1e-12, atol=1e-12)


def plain(op="conv2d", **more):
    declared = conformance.OPS[op]
    return Case(declared, "plain", {**declared.family.plain, **more})


def faults(kernel, case):
    return " | ".join(examine(kernel, case).faults)


def around(before=None, after=None):
    """`conv2d` with something done to its arrays before or after."""

    def kernel(x, w, out, **static):
        if before:
            before(x, out)
        im2col.conv2d(x, w, out, **static)
        return after(x, out) if after else out

    return kernel


def whole_buffer(out):
    return out.base if out.base.ndim == 1 else out.base.base


def test_what_else_a_kernel_must_not_do():
    def past_the_end(x, out):
        whole_buffer(out)[GUARD + out.size] = 0
        return out

    def before_the_beginning(x, out):
        whole_buffer(out)[GUARD - 1] = np.nan
        return out

    def input_overwritten(x, out):
        x[0, 0, 0, 0] += 1
        return out

    rng = np.random.default_rng(0)

    def last_bit_at_random(x, out):
        out *= 1 + rng.integers(0, 2, out.shape) * np.finfo(out.dtype).eps
        return out

    assert not faults(around(), plain())
    assert faults(around(after=past_the_end), plain()) == "wrote past the end of out"
    assert faults(around(after=before_the_beginning), plain()) == "wrote before the beginning of out"
    assert faults(around(after=input_overwritten), plain()) == "wrote to its input x"
    assert faults(around(after=lambda x, out: None), plain()).startswith("returned NoneType, needed the array")
    assert faults(around(after=lambda x, out: out.copy()), plain()).startswith("returned another array")
    assert "the same arguments gave other numbers the second time" in faults(around(after=last_bit_at_random), plain())
    readonly = Case(plain().op, "read-only", plain().structure, readonly=True)
    assert faults(around(after=input_overwritten), readonly) == "raised ValueError: assignment destination is read-only"


def test_a_kernel_that_raises_is_a_failure_with_its_message():
    def kernel(x, w, out, *, groups, **static):
        if groups > 1:
            raise KeyError("no groups here")
        return im2col.conv2d(x, w, out, groups=groups, **static)

    report = conformance.check(kernel, "conv2d", examples=30, dtypes=["float64"])
    assert "raised KeyError: 'no groups here'" in str(report)
    assert "every failing case has groups > 1, and none that passes" in str(report)
    assert len(report.failures) == 5  # four named and a drawn one


def test_a_kernel_that_fails_at_random_does_not_upset_the_search():
    rng = np.random.default_rng(0)

    def sometimes(x, out):
        if rng.random() < 0.3:
            out += 1
        return out

    report = conformance.check(around(after=sometimes), "conv2d", examples=30, dtypes=["float64"])
    assert report.found
    assert "every" not in report.smallest.faults[0]


def test_shapes_that_do_not_belong_together_must_raise_before_anything_is_written():
    def lenient(x, w, out, **static):
        out[...] = 0
        return out

    def wrong_error(x, w, out, **static):
        raise IndexError("out of range")

    def late(x, w, out, **static):
        out[...] = 0
        raise ValueError("these do not fit")

    declared = conformance.OPS["conv2d"]
    refused = Case(declared, "refused", declared.family.plain, spoil=("y", "oh"), refused=True)
    assert not faults(reference.conv2d, refused)
    assert faults(lenient, refused).startswith("needed ValueError for shapes that do not belong together, but the kern")
    assert "raised IndexError: out of range" in faults(wrong_error, refused)
    assert faults(late, refused) == "wrote to out before it refused"


def test_a_nan_must_reach_those_that_read_it_and_nobody_else():
    def swallowed(x, out):
        np.nan_to_num(x, copy=False)

    def spread(x, out):
        return np.add(out, 0 * x.sum(), out=out)

    for kernel in (around(before=swallowed), around(after=spread)):
        failing = {f.case.title for f in conformance.check(kernel, "conv2d", examples=0, dtypes=["float32"]).failures}
        assert {"not a number", "infinity"} <= failing
        assert "padding" not in failing
    assert "every failing case has a NaN or an infinity among the inputs" in str(
        conformance.check(around(after=spread), "conv2d", examples=0)
    )


def test_an_infinity_has_its_sign():
    flipped = around(after=lambda x, out: np.multiply(out, np.where(np.isinf(out), -1, 1), out=out))
    case = conformance.OPS["conv2d"].cases["infinity"]
    infinite = Case(plain().op, "infinity", {**plain().structure, **case.changes}, put=case.put)
    assert not faults(around(), infinite)
    assert "elements are wrong" in faults(flipped, infinite)


def test_hints_claim_nothing_that_does_not_hold():
    def all_groups_off(x, w, out, *, groups, **static):
        im2col.conv2d(x, w, out, groups=groups, **static)
        return np.add(out, groups - 1, out=out)

    text = str(conformance.check(all_groups_off, "conv2d", examples=0, dtypes=["float64"]))
    assert "every failing case has groups > 1" in text
    for claim in ("groups after the first", "is ever wrong", "no multiple of", "lie at", "padding > 0"):
        assert claim not in text, text
    assert "no case passes at all" in str(conformance.check(lambda *args, **static: None, "conv2d", examples=0))


def test_small_cases_are_held_against_the_loops_themselves():
    with mock.patch.object(im2col, "conv2d", side_effect=AssertionError):
        assert not faults(reference.conv2d, plain())


def test_the_tolerance_is_a_few_roundings():
    def off_by(roundings):
        return around(after=lambda x, out: np.multiply(out, 1 + roundings * np.finfo(out.dtype).eps, out=out))

    one_term = {"kernel": (1, 1), "CG": 1}
    for dtype in ("float32", "float64"):
        case = Case(plain().op, "one term", {**plain().structure, **one_term}, dtype)
        assert not faults(off_by(4), case)
        assert "elements are wrong" in faults(off_by(12), case)


@pytest.mark.parametrize("op", [op for op in WINDOWS if conformance.OPS[op].form])
def test_the_adjoint_identities_tell_right_from_wrong_by_themselves(op):
    case = plain(op)
    inputs = case.inputs()
    outputs = {arg.name: np.empty(case.shape(arg), arg.dtype or "d") for arg in case.writes}
    getattr(reference, op)(*inputs.values(), *outputs.values(), **case.keywords)
    allowed = {name: 1e-13 * abs(a) for name, a in outputs.items()}
    assert adjoint(case, inputs, outputs, allowed) == []
    outputs["out"].flat[3] += 0.01
    broken = adjoint(case, inputs, outputs, allowed)
    assert len(broken) == len(case.op.form) - 1
    assert "the adjoint identity does not hold" in broken[0]


def test_the_snippet_reproduces_the_example():
    report = conformance.check(groups_mixed("conv2d"), "conv2d", examples=20, dtypes=["float32"])
    text = str(report).partition("to reproduce it\n")[2]
    shown = []
    code = "\n".join(line[4:] for line in text.splitlines())
    assert "kernel = ...  # tests" in code or "kernel = ...  # test_conformance" in code
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
    assert lines[2].endswith("8 9  (and 10 more columns)")
    assert "     (and 5 more rows)" in lines
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


MODULE = """
from tinyres_kernels import im2col

conv2d = im2col.conv2d
version = 3


def without_padding(x, w, out, **static):
    im2col.conv2d(x, w, out, **static)
    if any(static["padding"]):
        out[:, 0] = 0
    return out
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"kernels_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "broken_kernels.py").write_text("import nothing_of_that_name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def test_the_command_as_a_process(folder):
    run = [sys.executable, "-m", "tinyres_kernels", "check", f"{folder}:without_padding", "--op", "conv2d"]
    ran = subprocess.run([*run, "--examples", "20"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (1, "")
    for words in (f"{folder}:without_padding as conv2d: DOES NOT CONFORM", "FAIL  padding", "ok    plain", "oh=0",
                  "every failing case has padding > 0", f"from {folder} import without_padding as kernel"):  # fmt: skip
        assert words in ran.stdout
    assert not Path(".hypothesis").exists(), "it leaves nothing behind"


def test_the_command_says_yes(folder, capsys):
    assert command.main(["check", f"{folder}:conv2d", "--op", "conv2d", "--examples", "3", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "as conv2d: conforms" in out
    assert "3 run, none fails" in out
    assert "FAIL" not in out


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("mymodule", "got 'mymodule', needed MODULE:FUNCTION"),
        ("no_such_module:conv2d", "no_such_module could not be imported: ModuleNotFoundError"),
        ("broken_kernels:conv2d", "No module named 'nothing_of_that_name'"),
        ("{folder}:conv3d", "has no conv3d; it has conv2d, without_padding"),
        ("{folder}:version", "is of type int, needed a function"),
    ],
)
def test_the_command_says_what_it_could_not_run(folder, capsys, place, said):
    assert command.main(["check", place.format(folder=folder), "--op", "conv2d"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", ["", "check m:f", "check m:f --op conv3d", "check m:f --op conv2d --examples -1"])
def test_arguments_that_do_not_parse_are_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        command.main(arguments.split())
    assert exit.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_command_lists_operations_and_named_cases(capsys):
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "conv2d(x, w, out, *, stride, padding, dilation, groups)" in lines
    assert "cross_entropy(x, target, out, probabilities)" in lines
    assert "    depthwise" in lines
    assert sum(not line.startswith(" ") for line in lines) == len(conformance.OPS)


def test_without_hypothesis_one_line_says_what_to_install(monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError("No module named 'hypothesis'", name="hypothesis")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "tinyres_kernels.conformance")
    monkeypatch.delattr("tinyres_kernels.conformance")
    assert command.main(["list"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "tinyres_kernels: tinyres_kernels.conformance draws its cases with hypothesis, which is missing: "
        "pip install 'tinyres[conformance]'"
    ]
