"""Cases in guard mode: planted faults are found and named, and the CPU rung's own kernels have none."""

from dataclasses import replace
from itertools import combinations
from unittest import mock

import pytest
from tinyres_kernels import conformance
from tinyres_kernels.conformance import plans, search
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import examine
from tinyres_kernels.conformance.guarded import Outcome, Task, _verdict, own, planned, run
from tinyres_kernels.conformance.plan_search import Found, explained
from tinyres_kernels.cpu import memory

from tests.kernels.conformance.faulty import plain
from tests.kernels.guard import planted

PAST = "read or wrote past the end of an array"
WIDE = Case(  # a layer of the default DenseNet-40: 0.1.0 got it wrong
    plain().op, "86 channels", {**plain().structure, "hw": (6, 33), "padding": (1, 1), "CG": 86, "OG": 8}, "float32"
)
REFUSED = replace(plain(), title="refused", spoil=("y", "oh"), refused=True)
TWO_THREADS = (("threads", 2), ("worth_a_thread", 0))
EXPECTED = {
    "right": (plain(), (), []),
    "reads_past_the_end": (plain(), (), [PAST]),
    "reads_before_the_beginning": (plain(), (), ["read or wrote before the beginning of an array"]),
    "writes_past_the_end": (plain(), (), [PAST]),
    "wants_two_threads": (plain(), TWO_THREADS, []),
    "accepts_anything": (REFUSED, (), []),  # the contract does not
    "leaves": (plain(), (), ["ended its process with status 3"]),
    "reads_stale_scratch": (plain(), (), ["out: 18 of 18 elements are wrong, the worst at [0, 0, 0, 0]: got nan, nee"]),
    "wrong": (plain(), (), ["out: 1 of 18 elements are wrong"]),
    "three_taps_past_their_panel": (WIDE, TWO_THREADS, [f"{PAST}, in the compiled kernel dot"]),
    "conv2d": (WIDE, TWO_THREADS, []),
}


@pytest.fixture(scope="module")
def found():
    """The violations of the planted kernels, by name, all from one run."""
    tasks = [Task(f"{planted.__name__}:{name}", case, forced) for name, (case, forced, _) in EXPECTED.items()]
    violations = run(tasks)
    return {name: [v for v in violations if v.task is task] for name, task in zip(EXPECTED, tasks, strict=True)}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_planted_is_found_and_what_is_right_passes(found, name):
    case, forced, expected = EXPECTED[name]
    assert len(found[name]) == len(expected)
    for violation, what in zip(found[name], expected, strict=True):
        assert violation.what.startswith(what)
        assert f"{planted.__name__}:{name}, {case.title}: x {case.shape(case.reads[0])}, w (3, 3," in str(violation)
        assert f"{case.dtype}, seed 0{', under cpu.forced(threads=2, worth_a_thread=0)' if forced else ''}: " in str(
            violation
        )


@pytest.mark.parametrize("name", ["right", "reads_past_the_end", "reads_before_the_beginning", "reads_stale_scratch"])
def test_ordinary_memory_hides_it(name):
    memory.scratch("planted", "float64", 8)[...] = 1  # as an earlier call may have left it
    assert examine(getattr(planted, name), plain()).ok


def test_so_many_violations_are_enough():
    tasks = [Task(f"{planted.__name__}:wrong", plain(padding=(p, p))) for p in range(4)]
    seen = []
    assert len(run(tasks, most=2, progress=lambda done, task: seen.append((done, task)))) == 2
    assert seen == [(1, tasks[0]), (2, tasks[1])]


@pytest.mark.slow
def test_a_kernel_that_cannot_be_run_is_no_violation():
    with pytest.raises(RuntimeError, match=r"(?s)guard mode: the process .* has no lefft; it has"):
        run([Task(f"{planted.__name__}:lefft", plain())])


def test_an_overrun_in_both_passes_is_a_long_one():
    assert _verdict(Outcome([], True, "dot"), Outcome([], True, "dot")) == [
        "read or wrote beyond an array, by more than 64 KiB or on both sides, in the compiled kernel dot"
    ]


@pytest.mark.slow
def test_the_named_cases_of_our_own_kernels_touch_nothing_beside_their_arrays():
    """Each in one of the two types, in turns. `check --guard --all` takes both."""
    tasks = []
    for op in conformance.OPS:
        for real, other in ((0, 1), (1, 0)):
            cases = search.cases(op, examples=0, dtypes=search.DTYPES[real : real + 1])
            tasks += [Task(f"tinyres_kernels.cpu:{op}", case) for case in cases[other::2]]
    assert [str(violation) for violation in run(tasks)] == []


def chosen(plan):
    """What a plan is tested for here: any two of its traits, and the ends that its ways meet."""
    own = ["", *enumerate([*plan.traits, plan.threads > 1])]
    pairs = {(plan.way, *two) for two in combinations(own, 2)}
    return pairs.union({(name.partition(":")[0], end) for name, end in plan.met}, *map(chosen, plan.parts))


CONV = ["conv2d", "conv2d_dx", "conv2d_dw"]
OTHERS = [op for op in conformance.OPS if op not in CONV]


@pytest.mark.parametrize("ops", [*([op] for op in CONV), OTHERS], ids=[*CONV, "others"])
@pytest.mark.slow
def test_no_plan_touches_anything_beside_its_arrays(ops, plan_cases):
    """On two threads, in float32: some cases. `check --guard --all` takes all."""
    tasks, seen = [], set()
    for case in (case for op in ops for case in plan_cases(op, "float32")):
        new = {(case.case.op.name, *what) for what in chosen(case.plan)}
        if not new <= seen:
            seen |= new
            tasks.append(planned(case))
    assert len(tasks) >= 20
    assert [str(violation) for violation in run(tasks)] == []


def test_all_of_them_are_the_named_cases_and_those_of_plans():
    few = mock.patch.object(plans, "suite", lambda full, ops: [a_plan] if full and ops == ["conv2d"] else [])
    a_plan = Found(plain(), explained(plain()), "of this test", (("sum", 8),), 3)
    with few, mock.patch.object(plans, "layers", return_value=[]):
        tasks = list(own())
    assert Task("tinyres_kernels.cpu:conv2d", plain(), (("sum", 8), ("threads", 3))) in tasks
    assert len(tasks) == 1 + sum(2 * len(op.cases) for op in conformance.OPS.values())
