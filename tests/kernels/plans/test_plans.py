"""Every plan is tested where it is taken: none that occurs is left out, and each gives what `im2col` gives."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from tinyres_kernels import cpu
from tinyres_kernels.conformance import plans
from tinyres_kernels.conformance.draw import draw
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.plan_search import explained
from tinyres_kernels.cpu.host import TARGET, Target
from tinyres_kernels.cpu.plan import PLANNERS

from tests.kernels.kept_cases import lines, read

QUICK = ["float32", pytest.param("float64", marks=pytest.mark.slow)]  # which is the same code for another type
CONV = ("conv2d", "conv2d_dx", "conv2d_dw")
SHARES = 4  # that the cases of a convolution are cut into, besides one of every plan; these shares are slow tests


def every(cases):
    """Nothing is wrong with any of them; what is, is told ready to be looked up, three at most."""
    wrong = [(case, faults) for case in cases if (faults := case.faults())]
    told = "\n".join(f"{case}\n    {faults[0]}" for case, faults in wrong[:3])
    assert not wrong, f"{len(wrong)} of {len(cases)} cases are wrong:\n{told}"


def share(cases, number):
    """Of the cases, one of every plan, the cheapest; or of the others one in so many, counted from 1."""
    names, first, others = set(), [], []
    for case in cases:
        (others if case.plan.names <= names else first).append(case)
        names |= case.plan.names
    return others[number - 1 :: SHARES] if number else first


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, SHARES + 1))])
@pytest.mark.parametrize("dtype", QUICK)
@pytest.mark.parametrize("op", ["conv2d", *(pytest.param(op, marks=pytest.mark.slow) for op in CONV[1:])])
def test_every_plan_of_a_convolution_and_both_sides_of_every_limit(op, dtype, number, plan_cases):
    every(share(plan_cases(op, dtype), number))


def test_the_shares_are_all_cases(plan_cases):
    cases = plan_cases("conv2d", "float32")
    shares = [share(cases, number) for number in range(SHARES + 1)]
    assert sorted(map(str, cases)) == sorted(str(case) for cut in shares for case in cut)
    names = [{name for case in some for name in case.plan.names} for some in (shares[0], cases)]
    assert names[0] == names[1]


@pytest.mark.parametrize("dtype", QUICK)
@pytest.mark.parametrize("op", [op for op in OPS if op not in CONV])
def test_every_plan_of_the_others_and_both_sides_of_every_limit(op, dtype, plan_cases):
    every(plan_cases(op, dtype))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_the_layers_of_real_nets(number):
    """One of a layer's three convolutions: whole nets take all of them, in `tests/models/float32`."""
    every(list(plans.layers())[3 * number :: 6])


@pytest.mark.parametrize("dtype", QUICK)
@pytest.mark.parametrize("op", OPS)
def test_no_plan_that_occurs_is_left_without_a_test(op, dtype, plan_cases):
    """At sizes drawn by others: those of the fuzz and of real nets. Limits as they are."""
    tested = {name for case in plan_cases(op, dtype) for name in case.plan.names}
    rng = np.random.default_rng(1)
    cases = [draw(rng, OPS[op]).case for _ in range(400)]
    cases += [case.case for case in plans.layers(full=True, ops=[op], dtypes=[dtype])]
    occur = Counter()
    for case in (case for case in cases if case.dtype == dtype):
        try:
            names = explained(case).names
        except ValueError:  # the arguments do not belong together
            continue
        occur.update(name for name in names if name not in tested)
    assert not occur, f"no test runs these: {dict(occur)}"


@pytest.mark.slow
def test_the_search_finds_the_same_in_any_process(plan_cases):
    """Each process has an order of sets of its own, which must not lead the search elsewhere."""
    every = "plans.suite(ops=['conv2d_dw'], dtypes=['float32'])"
    ask = f"from tinyres_kernels.conformance import plans; print(*{every}, sep='\\n')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}
    told = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.splitlines() == [str(case) for case in plan_cases("conv2d_dw", "float32")]


@pytest.mark.parametrize("op", ["matmul", pytest.param("conv2d_dw", marks=pytest.mark.slow)])
def test_cases_that_were_kept_are_those_that_are_searched_for(op, plan_cases):
    searched = list(plans.suite(ops=[op], dtypes=["float32"]))
    assert list(map(repr, plan_cases(op, "float32"))) == list(map(repr, searched))
    text = lines(searched)
    assert list(map(repr, read(text, op, "float32"))) == list(map(repr, searched))
    assert read(text.replace("one thread", "a thread", 1), op, "float32") is None, "of a plan that is made no more"


def test_every_operation_has_a_planner():
    assert set(PLANNERS) == set(OPS)


def test_a_kernel_goes_the_way_that_is_explained(monkeypatch, plan_cases):
    """The plan that runs is the one that `explain` names: the tests above would otherwise watch another code."""
    taken = []
    from tinyres_kernels.cpu import conv

    real = conv.decide
    monkeypatch.setattr(conv, "decide", lambda *args: taken.append(real(*args)) or taken[-1])
    for case in plan_cases("conv2d_dx", "float32")[::40] + plan_cases("conv2d_dw", "float32")[::40]:
        taken.clear()
        case.faults()
        assert [str(plan) for plan in taken] == [str(case.plan)]


STATIC = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
SHAPES = (2, 8, 8, 3), (3, 3, 3, 5), (2, 8, 8, 5)


def test_explain_takes_arrays_or_shapes_and_runs_nothing():
    x, w, out = (np.full(shape, np.nan, "f") for shape in SHAPES)
    assert cpu.explain("conv2d", x, w, out, **STATIC) == cpu.explain("conv2d", *SHAPES, dtype="f", **STATIC)
    assert np.isnan(out).all()


@pytest.mark.parametrize("target", [Target(4, 16), Target(8, 16), Target(16, 32)], ids=["SSE", "AVX2", "AVX-512"])
def test_plans_can_be_asked_for_another_machine(target):
    plan = cpu.explain("conv2d", (1, 32, 32, 3), (3, 3, 3, 16), (1, 32, 32, 16), target=target, threads=64, **STATIC)
    assert plan.threads in (1, 64)
    assert plan.how.wide == target.lanes * (1 if target.lanes == 16 else 2)


@pytest.mark.parametrize("op", OPS)
def test_explain_takes_the_settings_that_the_kernel_takes(op, plan_cases):
    assert explained(plan_cases(op, "float32")[0].case)


def test_explain_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="no operation 'conv3d'; there are activation"):
        cpu.explain("conv3d", *SHAPES)
    with pytest.raises(TypeError, match=r"needs stride, padding, dilation, groups, as keywords.* not given: dil"):
        cpu.explain("conv2d", *SHAPES, stride=(1, 1), padding=(1, 1))
    with pytest.raises(ValueError, match="the output is 8 x 9"):
        cpu.explain("conv2d", *SHAPES[:2], (2, 8, 9, 5), **STATIC)


def test_what_is_forced_is_taken_or_refused():
    def plan(**choices):
        with cpu.forced(**choices):
            return str(cpu.explain("conv2d", *SHAPES, dtype="f", threads=2, **STATIC))

    assert plan() != plan(winograd=True)
    assert plan(winograd=True).startswith("winograd")
    assert "rows split" not in plan(split=False, worth_a_thread=0)
    with pytest.raises(ValueError, match="direct was forced where it cannot be taken"):
        plan(direct=True)
    with pytest.raises(ValueError, match="nothing is called fast; there are threads"):
        plan(fast=True)
    assert plan() == plan()


def test_a_plan_is_kept_for_its_own_sizes_alone():
    """Whatever a plan depends on is part of what it is kept by."""
    draw_one = np.random.default_rng(0).standard_normal
    x, w = draw_one((3, 9, 9, 8)).astype("f"), draw_one((3, 3, 8, 40)).astype("f")
    out = np.empty((3, 9, 9, 40), "f")
    with cpu.forced(threads=2, worth_a_thread=0):
        cpu.conv2d(x, w, out, **STATIC)
        for case in (
            {"padding": (0, 1)},
            {"padding": (2, 1)},
            {"stride": (2, 1)},
            {"dilation": (2, 2)},
            {"stride": (1, 2)},
        ):
            how = STATIC | case
            axes = zip((9, 9), (3, 3), how["stride"], how["padding"], how["dilation"], strict=True)
            sizes = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes]
            for dtype in ("f", "d"):
                a, b = x.astype(dtype), w.astype(dtype)
                got = cpu.conv2d(a, b, np.empty((3, *sizes, 40), dtype), **how)
                np.testing.assert_allclose(got, reference(a, b, sizes, how), rtol=0, atol=1e-4)


def reference(x, w, sizes, how):
    from tinyres_kernels import im2col

    return im2col.conv2d(x.astype("d"), w.astype("d"), np.empty((3, *sizes, 40)), **how)


def test_this_machine_is_one_of_those_that_plans_are_made_for():
    assert TARGET in (Target(4, 16), Target(8, 16), Target(16, 32))
