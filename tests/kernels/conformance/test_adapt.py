"""Kernels for other layouts and other libraries, and what cannot be adapted."""

import sys
from types import ModuleType

import numpy as np
import pytest
from tinyres_kernels import conformance
from tinyres_kernels.conformance.adapt import Adapt, adapted
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.signature import lines

from tests.kernels.conformance import own
from tests.kernels.conformance.faulty import plain

FIRST = Adapt("nchw")


def test_a_kernel_for_nchw_conforms_with_its_layout_and_not_without():
    assert conformance.check(own.channels_first, "conv2d", examples=10, adapt=FIRST).ok
    assert not conformance.check(own.right, "conv2d", examples=10, adapt=FIRST).ok


def test_the_snippet_and_the_shapes_are_those_of_the_adapted_kernel():
    def spoilt(x, w, out, s):
        own.channels_first(x, w, out, s)
        if s.groups > 1:
            out[:, -1] += 1

    report = conformance.check(spoilt, "conv2d", examples=0, dtypes=["float64"], adapt=FIRST)
    code = "\n".join(line[4:] for line in str(report).partition("to reproduce it\n")[2].splitlines())
    shown = []
    exec(code.replace("kernel = ...", "kernel = given"), {"given": spoilt, "print": lambda *a, sep: shown.append(a)})
    (right,), (wrong,) = shown
    np.testing.assert_array_equal(report.smallest.marks["out"] == "X", right != wrong)
    first = "  x (N, C, H, W)  w (O, C/groups, KH, KW)  out (N, O, OH, OW)"
    assert list(lines("conv2d", FIRST))[1] == first
    assert list(lines("conv2d", Adapt(arrays="torch")))[3].endswith("as in out[...] = y, or return it.")


def test_what_a_kernel_does_to_its_copies_is_seen():
    def spoils(x, w, out, s):
        own.channels_first(x, w, out, s)
        x[0, 1, 0, 2] = 7
        out[0, 1, 2, 0] += 1

    finding = examine(adapted(spoils, "conv2d", FIRST), plain())
    assert finding.signs == {"input", "wrong"}
    assert [tuple(map(int, at)) for at in np.argwhere(finding.marks["x"] == "X")] == [(0, 0, 2, 1)]
    assert [tuple(map(int, at)) for at in np.argwhere(finding.marks["out"] == "X")] == [(0, 2, 0, 1)]


@pytest.mark.parametrize("op", ["conv2d_dx", "conv2d_dw", "max_pool2d", "max_pool2d_dx", "avg_pool2d"])
def test_every_array_of_an_operation_is_turned(op):
    from tinyres_kernels import contract, im2col
    from tinyres_kernels.conformance.adapt import turns

    order = turns(conformance.OPS[op])

    def kernel(*given):
        *arrays, s = given
        names = contract.OPERATIONS[op].arrays
        back = [
            np.ascontiguousarray(a.transpose(np.argsort(order[name]))) for name, a in zip(names, arrays, strict=True)
        ]
        getattr(im2col, op)(*back, s)
        for name, a, b in zip(names, arrays, back, strict=True):
            if name in contract.OPERATIONS[op].writes:
                a[...] = b.transpose(order[name])

    assert set(order) == set(contract.OPERATIONS[op].arrays)
    assert conformance.check(kernel, op, examples=5, dtypes=["float64"], adapt=FIRST).ok


@pytest.mark.parametrize("name", ["in_torch", "in_torch_into_out"])
def test_a_kernel_written_for_pytorch(name):
    pytest.importorskip("torch")
    how = Adapt("nchw", "torch:cpu" if name == "in_torch" else "torch")
    assert conformance.check(getattr(own, name), "conv2d", examples=10, adapt=how).ok
    report = conformance.check(own.in_torch_without_groups, "conv2d", examples=0, dtypes=["float64"], adapt=how)
    assert [kind.needs for kind in report.kinds] == [["groups > 1"]]


def test_any_library_with_from_dlpack_whose_arrays_cannot_be_written(monkeypatch):
    """As JAX is: results can only be returned."""
    library = ModuleType("frozen_arrays")

    def from_dlpack(a):
        frozen = np.from_dlpack(a).copy()
        frozen.flags.writeable = False
        return frozen

    library.from_dlpack = from_dlpack
    monkeypatch.setitem(sys.modules, "frozen_arrays", library)
    from tinyres_kernels import im2col

    def pool(x, out, index, s):
        made = np.empty(out.shape, out.dtype), np.empty(index.shape, index.dtype)
        im2col.max_pool2d(x, *made, s)
        return made

    def norm(*given):
        fresh = [np.empty(a.shape, a.dtype) for a in given[4:7]]
        mean, variance = fresh[1:] if given[8].training else given[5:7]
        old, new = given[7], None
        if old is not None:
            new = old._replace(**{name: np.empty(a.shape, a.dtype) for name, a in old._asdict().items()
                                  if name.startswith("new") and a is not None})  # fmt: skip
        im2col.batch_norm(*given[:4], fresh[0], mean, variance, new, given[8])
        return (fresh[0], mean, variance, *(a for a in (new or ())[3:] if a is not None))

    how = Adapt(arrays="frozen_arrays")
    assert conformance.check(pool, "max_pool2d", examples=5, adapt=how).ok
    assert conformance.check(norm, "batch_norm", examples=5, dtypes=["float64"], adapt=how).ok


@pytest.mark.parametrize(
    ("how", "op", "said"),
    [
        (FIRST, "batch_norm", "--layout nchw is for convolutions and pools: batch_norm has no images"),
        (Adapt(arrays="no_such_library"), "conv2d", r"needs the library no_such_library.*pip install no_such_library"),
        (Adapt(arrays="json"), "conv2d", "the module json has no function from_dlpack"),
        (Adapt(arrays="torch:nowhere"), "conv2d", "--arrays torch:nowhere: torch does not take an array there"),
    ],
)
def test_what_cannot_be_adapted_is_said(how, op, said):
    if how.arrays.startswith("torch"):
        pytest.importorskip("torch")
    with pytest.raises(ValueError, match=said):
        conformance.check(own.right, op, adapt=how)


def test_a_returned_array_of_another_shape_is_a_failure_that_says_so():
    kernel = adapted(lambda x, w, out, s: out[:, 1:], "conv2d", Adapt(returned=True))
    (fault,) = examine(kernel, plain()).faults
    assert "the kernel returned an array of shape (1, 2, 3, 2), needed is (1, 3, 3, 2)" in fault
    kernel = adapted(lambda x, w, out, s: (out, out), "conv2d", Adapt(returned=True))
    assert "the kernel returned 2 arrays, needed 1, in this order: out. Return" in examine(kernel, plain()).faults[0]


def test_assert_conforms_takes_layout_and_arrays_as_the_command_does():
    conformance.assert_conforms(own.channels_first, "conv2d", examples=0, dtypes=["float64"], layout="nchw")
    with pytest.raises(AssertionError, match="--layout nchw"):
        conformance.assert_conforms(own.channels_first, "conv2d", examples=0, dtypes=["float64"])
    with pytest.raises(ValueError, match="got layout 'chwn', needed one of nhwc, nchw"):
        conformance.assert_conforms(own.channels_first, "conv2d", layout="chwn")


def test_too_few_results_are_asked_for_by_name():
    kernel = adapted(lambda x, target, out, probabilities: out, "cross_entropy", Adapt(returned=True))
    (fault, *_) = examine(kernel, plain("cross_entropy")).faults
    assert "the kernel returned 1 array, needed 2, in this order: out, probabilities." in fault


def test_a_dtype_that_numpy_has_not_is_named():
    torch = pytest.importorskip("torch")

    def halved(x, out, s):
        return x.bfloat16()

    (fault, *_) = examine(adapted(halved, "relu", Adapt(arrays=torch.__name__)), plain("relu")).faults
    assert "the result for out is bfloat16, needed float64: convert it at the end" in fault
