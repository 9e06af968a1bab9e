"""What the checker sees besides wrong numbers, and that it accuses no kernel that is right."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from tinyres_kernels import conformance, im2col, reference
from tinyres_kernels.conformance.adjoint import adjoint
from tinyres_kernels.conformance.asked import asked
from tinyres_kernels.conformance.declare import Case, Put
from tinyres_kernels.conformance.fences import GUARD
from tinyres_kernels.contract import OPERATIONS

from tests.kernels.conformance.faulty import WINDOWS, around, faults, plain, whole_buffer


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
    assert "the same call twice gave different results" in faults(around(after=last_bit_at_random), plain())
    readonly = Case(plain().op, "read-only", plain().structure, readonly=True)
    assert faults(around(after=input_overwritten), readonly).startswith(
        "raised ValueError: assignment destination is read-only (line "
    )


def test_a_kernel_that_raises_is_a_failure_with_its_message():
    def kernel(x, w, out, s):
        if s.groups > 1:
            raise KeyError("no groups here")
        im2col.conv2d(x, w, out, s)

    report = conformance.check(kernel, "conv2d", examples=30, dtypes=["float64"])
    assert "raised KeyError: 'no groups here'" in str(report)
    assert "every failing case has groups > 1, and none that passes" in str(report)
    assert len(report.failures) == 6  # five named and a drawn one


def test_a_kernel_that_fails_at_random_does_not_upset_the_search():
    rng = np.random.default_rng(0)

    def sometimes(x, out):
        if rng.random() < 0.3:
            out += 1
        return out

    report = conformance.check(around(after=sometimes), "conv2d", examples=30, dtypes=["float64"])
    assert report.found
    assert "every" not in report.smallest.faults[0]


def test_shapes_that_do_not_belong_together_are_the_contracts_to_refuse_before_anything_is_written():
    def body(x, w, out, s):
        out[...] = 0

    def wrong_error(x, w, out, s):
        raise IndexError("out of range")

    def late(x, w, out, s):
        out[...] = 0
        raise ValueError("these do not fit")

    declared = conformance.OPS["conv2d"]
    refused = Case(declared, "refused", declared.family.plain, spoil=("y", "oh"), refused=True)
    assert not faults(body, refused), "no kernel has to check"
    said = []
    for admit in (lambda x, w, out, s: True, wrong_error, late):
        with mock.patch.dict(OPERATIONS, conv2d=OPERATIONS["conv2d"]._replace(admit=admit)):
            said.append(faults(body, refused))
    assert said[0].startswith(
        "needed ValueError for shapes that do not belong together, but the contract accepted them"
    )
    assert "wrote to out before it refused" in said[0]
    assert "raised IndexError: out of range" in said[1]
    assert said[2] == "wrote to out before it refused"


def test_empty_cases_are_the_contracts_to_answer():
    def never(x, w, out, s):
        raise AssertionError("an empty array came to a kernel")

    for op in ("conv2d", "conv2d_dx", "conv2d_dw"):
        assert not faults(never, plain(op, N=0))
    with mock.patch.dict(OPERATIONS, conv2d_dw=OPERATIONS["conv2d_dw"]._replace(admit=lambda x, g, out, s: False)):
        assert "still hold what was there before" in faults(never, plain("conv2d_dw", N=0))


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
    def all_groups_off(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        np.add(out, s.groups - 1, out=out)

    text = str(conformance.check(all_groups_off, "conv2d", examples=0, dtypes=["float64"]))
    assert "every failing case has groups > 1" in text
    for claim in ("groups after the first", "is ever wrong", "no multiple of", "lie at", "padding > 0"):
        assert claim not in text, text
    assert "no case passes at all" in str(conformance.check(lambda x, w, out, s: out.fill(7), "conv2d", examples=0))


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


def test_a_kernel_that_ends_the_process_is_a_failure_too():
    def leaves(x, out):
        raise SystemExit("good-bye")

    assert faults(around(after=leaves), plain()).startswith("raised SystemExit: good-bye (line ")


def test_what_a_case_asks_is_computed_once_and_for_that_case_alone():
    case = plain("conv2d", CG=2)
    assert asked(case) is asked(plain("conv2d", CG=2))
    assert not asked(case).expected["out"].flags.writeable
    others = [
        replace(case, dtype="float32"), replace(case, seed=1), replace(case, put=Put(0, np.inf)),
        plain("conv2d", CG=2, padding=(1, 1)), replace(case, op=conformance.OPS["conv2d_dw"]),
    ]  # fmt: skip
    assert all(asked(other) is not asked(case) for other in others)


@pytest.mark.parametrize("op", ["conv2d", "max_pool2d", "max_pool2d_dx"])
def test_a_kernel_is_not_judged_by_what_another_one_did_before(op):
    """Sides of the adjoint identity are remembered where no result of the kernel is in them."""

    def spoils(*arguments):
        getattr(im2col, op)(*arguments)
        for a in arguments[:-1]:
            a[...] = 0

    assert not conformance.check(spoils, op, examples=0, dtypes=["float64"]).ok
    assert conformance.check(getattr(im2col, op), op, examples=0, dtypes=["float64"]).ok
