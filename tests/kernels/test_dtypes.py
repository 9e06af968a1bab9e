"""Mixed dtypes come to no kernel: compiled code that is told one of them would write beyond an array."""

import numpy as np
import pytest
from tinyres_kernels import contract, cpu, im2col, reference
from tinyres_kernels.conformance.calling import call
from tinyres_kernels.contract import OPERATIONS

from tests.kernels.test_contract import EACH, RUNGS, made, never

OTHERS = "float16", "float32", "float64", "int32", "int64"


def arguments(op, changed=None, dtype="float32"):
    """The arrays of a plain call, in order, that one in another dtype; its keywords."""
    case, arrays = made(op, dtype)
    if changed is not None:
        name, other = changed
        arrays[name] = arrays[name].astype(other)
    return [arrays[name] for name in OPERATIONS[op].order], case.keywords


def same(given):
    return [a.tobytes() for a in given]


@RUNGS
@EACH
def test_each_argument_in_turn_has_another_dtype_and_the_sentence_says_which(op, rung):
    kernel = getattr(rung, op)
    plain, _ = arguments(op)
    for name, right in zip(OPERATIONS[op].order, plain, strict=True):
        for other in OTHERS:
            if right.dtype == other or name in ("batches", "new_batches"):
                continue
            given, keywords = arguments(op, (name, other))
            before = same(given)
            with pytest.raises(TypeError) as refused:
                call(op, kernel, given, keywords)
            said = str(refused.value)
            assert said.startswith(f"{op}: "), said
            assert other in said
            assert said.count("\n") == 0
            if not said.startswith(f"{op}: these kernels"):
                assert f"{name} {'must' if right.dtype.kind == 'i' else other}" in said
                assert "hand over" in said
            assert before == same(given), "nothing is written before"


@EACH
def test_what_is_read_may_have_the_other_byte_order_and_what_is_written_may_not(op):
    operation = OPERATIONS[op]
    plain, keywords = arguments(op)
    written = operation.written(operation.settings and operation.settings(**keywords))
    for name, right in zip(operation.order, plain, strict=True):
        if name in ("batches", "new_batches"):
            continue
        given, _ = arguments(op, (name, right.dtype.newbyteorder()))
        if name in written and right.dtype.kind == "f":
            with pytest.raises(TypeError, match="in the other byte order"):
                call(op, never, given, keywords)
        else:
            seen = []
            call(op, lambda *a, seen=seen: seen.append(a), given, keywords)
            assert seen


@pytest.mark.parametrize("other", ["float16", "int32", ">f4"])
@EACH
def test_compiled_kernels_say_what_they_compute_in(op, other):
    given, keywords = arguments(op)
    given = [a.astype(other) if a.dtype.kind == "f" else a for a in given]
    with pytest.raises(TypeError, match=f"{op}: these kernels compute in float32 or float64, got out in .*im2col"):
        call(op, getattr(cpu, op), given, keywords)


def test_half_precision_is_for_the_kernel_sets_that_compile_nothing():
    x, out = np.float16([1, -2]), np.empty(2, np.float16)
    assert im2col.relu(x, out, slope=0.0).tolist() == reference.relu(x, out, slope=0.0).tolist() == [1, 0]


def test_the_mend_is_for_the_array_that_differs_from_most():
    f4, f8 = np.ones(3, np.float32), np.ones(3)
    with pytest.raises(TypeError, match=r"got a float32, b float64, out float64: hand over a.astype\('float64'\)"):
        im2col.add(f4, f8, f8)
    with pytest.raises(TypeError, match=r"hand over out = np.empty\(out.shape, 'float64'\)"):
        im2col.add(f8, f8, f4)
    with pytest.raises(TypeError, match=r"target must be int64, got int32: hand over target.astype\('int64'\)"):
        im2col.cross_entropy(f4[:, None], np.zeros(3, np.int32), f4, f4[:, None])


def test_many_steps_in_one_launch_are_asked_too():
    operation = OPERATIONS["sgd"]
    given, keywords = arguments("sgd", ("g", "float64"))
    with pytest.raises(TypeError, match="sgd: all arrays must have one dtype"):
        operation.admit(*given, operation.settings(**keywords))


def test_what_is_no_array_is_named():
    with pytest.raises(TypeError, match="add: b must be an array, got list"):
        contract.kernel("add", never)(np.ones(2), [1.0, 1.0], np.ones(2))
