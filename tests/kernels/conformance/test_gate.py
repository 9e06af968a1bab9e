"""No call of a kernel ever breaks what its author was promised, however it fails: shapes fit, and nothing is empty."""

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance.adapt import Adapt, adapted, turns
from tinyres_kernels.conformance.gate import Misfit
from tinyres_kernels.contract import OPERATIONS
from tinyres_kernels.settings import Running

from tests.kernels.conformance import own
from tests.kernels.conformance.faulty import plain
from tests.kernels.conformance.test_every_operation import results

QUICK = {("max_pool2d", "last_element"), ("cross_entropy", "zeros"), ("adam", "one_width")}


def broken_promises(op, given, order):
    """What a call does not keep of what was promised; `order` as of `turns`, for a kernel that has channels first."""
    named = dict(zip(OPERATIONS[op].arrays, given, strict=False))
    arrays = []
    for name, a in named.items():
        back = np.argsort(order[name]) if name in order else None
        parts = a if isinstance(a, Running) else [a]
        made = [
            one if one is None else np.empty(one.shape if back is None else [one.shape[i] for i in back], one.dtype)
            for one in parts
        ]
        arrays.append(Running(*made) if isinstance(a, Running) else made[0])
    try:
        fits = OPERATIONS[op].admit(*arrays, *given[len(arrays) :])
    except (ValueError, TypeError) as error:
        return [str(error)]
    told = [] if fits else ["there was nothing to compute"]
    told += [f"{name} is empty" for name, a in named.items() if hasattr(a, "size") and not a.size]
    if op == "cross_entropy" and not (named["target"] >= 0).all() & (named["target"] < named["x"].shape[1]).all():
        told.append("a target is no class")
    if "index" in named and op != "max_pool2d":
        taps = given[-1].kernel[0] * given[-1].kernel[1]
        told += ["an index is no tap"] * (not ((named["index"] >= 0) & (named["index"] < taps)).all())
    return told


def nothing(right, given, written):
    pass


def zeros(right, given, written):
    for a in written:
        a[...] = 0


def last_element(right, given, written):
    right()
    written[0].reshape(-1)[-1] = 77


def raises_where_large(right, given, written):
    right()
    if max(max(a.shape) for a in written) > 4:
        raise KeyError("B")


def adds(right, given, written):
    held = [a.copy() for a in written]
    right()
    for a, before in zip(written, held, strict=True):
        a += before


def nan_ignored(right, given, written):
    right()
    for a in written:
        a[np.isnan(a)] = 1


def one_width(right, given, written):
    right()
    if written[0].shape[-1] % 3 == 1:
        written[0][...] += 1


def single(right, given, written):
    right()
    if written[0].dtype == np.float32:
        written[0][...] *= 2


def after_another(right, given, written):
    """It keeps its first result, and adds it to those of the same shape."""
    right()
    kept = KEPT.setdefault((given[0].shape, written[0].shape), written[0].copy())
    written[0][...] += kept


KEPT = {}
FAULTS = (nothing, zeros, last_element, raises_where_large, adds, nan_ignored, one_width, single, after_another)


def recorded(op, fault, calls, order):
    def kernel(*given):
        calls.append(broken_promises(op, given, order))
        written = list(results(op, given))

        def right():
            if not order:
                getattr(im2col, op)(*given)

        fault(right, given, written)

    return kernel


@pytest.mark.parametrize(
    ("op", "fault"),
    [
        pytest.param(
            op, fault, id=f"{op}-{fault.__name__}", marks=() if (op, fault.__name__) in QUICK else pytest.mark.slow
        )
        for op in conformance.OPS
        for fault in FAULTS
    ],
)
def test_every_call_keeps_what_was_promised_whatever_the_kernel_does(op, fault):
    calls = []
    dtypes = ["float32", "float64"] if fault is single else ["float64"]
    conformance.check(recorded(op, fault, calls, {}), op, examples=3, dtypes=dtypes)
    assert len(calls) > 10
    assert not [told for told in calls if told]


@pytest.mark.parametrize("op", ["max_pool2d", pytest.param("conv2d_dw", marks=pytest.mark.slow)])
def test_every_call_of_a_kernel_for_channels_first_does_so_too(op):
    order = turns(conformance.OPS[op])
    for fault in (nothing, zeros):
        calls = []
        kernel = recorded(op, fault, calls, order)
        conformance.check(kernel, op, examples=3, dtypes=["float64"], adapt=Adapt("nchw"))
        assert len(calls) > 10
        assert not [told for told in calls if told]


def test_the_gate_is_shut_before_a_call_that_would_not_fit_and_that_is_no_fault_of_the_kernel():
    called = []
    tried = adapted(lambda *given: called.append(given), "conv2d", Adapt("nchw"), Adapt())
    with pytest.raises(Misfit, match="do not fit"):
        conformance.examine.examine(tried, plain(hw=(5, 7)))
    assert not called


@pytest.mark.parametrize("op", [op for op in conformance.OPS if turns(conformance.OPS[op])])
def test_a_kernel_for_channels_first_is_still_recognised(op):
    order = turns(conformance.OPS[op])
    names = OPERATIONS[op].arrays

    def kernel(*given):
        arrays = {
            name: np.ascontiguousarray(a.transpose(np.argsort(order[name])))
            for name, a in zip(names, given, strict=False)
        }
        getattr(im2col, op)(*arrays.values(), given[-1])
        for name, a in zip(names, given, strict=False):
            if name in OPERATIONS[op].writes:
                a[...] = arrays[name].transpose(order[name])

    report = conformance.check(kernel, op, examples=0, dtypes=["float64"])
    assert report.breach.startswith("It takes images as (N, C, H, W)"), str(report)
    assert not conformance.check(own.right, "conv2d", examples=0, dtypes=["float64"]).breach


def test_what_is_written_beyond_a_copy_is_seen_and_harms_nobody():
    """A compiled kernel knows no bounds; here a view of the memory around the copy stands for it."""

    def kernel(x, w, out, s):
        own.channels_first(x, w, out, s)
        whole = np.lib.stride_tricks.as_strided(out, (out.size + 3,), (out.itemsize,))
        whole[-1] = 1

    finding = conformance.examine.examine(adapted(kernel, "conv2d", Adapt("nchw")), plain())
    assert finding.signs == {"beyond"}
    assert finding.faults == ["wrote past the end of out"]
