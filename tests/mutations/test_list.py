"""The list of planted faults is in shape, and the runner can say no. (`test_faults.py` runs all, when asked to.)"""

import ast
import subprocess
import sys
from functools import cache

import pytest

from tests.mutations import run
from tests.mutations.faults import BY_NAME, FAMILIES, ROOT, VERDICT, Fault, faults, plant
from tests.mutations.run import Ran, judge, unsound, verdict

ALL = faults(*FAMILIES, *BY_NAME)
EACH_FAMILY = pytest.mark.parametrize("family", [*FAMILIES, *BY_NAME])


@cache
def dumped(source):
    """For the many faults of one file."""
    return ast.dump(ast.parse(source))


# -- the list -------------------------------------------------------------------------------------------------------
@EACH_FAMILY
def test_each_can_be_planted_and_leaves_the_file_python(family, tmp_path):
    for fault in faults(family):
        target, source = tmp_path / fault.file, (ROOT / fault.file).read_text(encoding="utf-8")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source, encoding="utf-8")
        plant(fault, tmp_path)
        changed = target.read_text(encoding="utf-8")
        assert ast.dump(ast.parse(changed)) != dumped(source), f"{fault.name}: only a comment or a docstring differs"


@cache
def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@EACH_FAMILY
def test_the_tests_that_must_notice_exist(family):
    for fault in faults(family):
        assert fault.tests, fault.name
        for test in fault.tests:
            file, *function = test.partition("[")[0].split("::")
            assert (ROOT / file).exists(), f"{fault.name}: there is no {file}"
            assert set(function) <= functions(ROOT / file) if function else True, f"{file} has no {function}"


def test_the_experiments_that_must_notice_exist():
    from tinyres.lab.registry import EXPERIMENTS

    named = {test.partition("[")[2][:-1] for fault in ALL for test in fault.tests if test.startswith(VERDICT)}
    assert named
    assert named <= EXPERIMENTS.keys()


def test_there_are_enough_of_them_from_everywhere():
    usual = faults(*FAMILIES)
    assert len(usual) >= 60
    assert all(len(faults(family)) >= 10 for family in FAMILIES)
    assert len({fault.name for fault in ALL}) == len(ALL), "a name stands twice"
    assert not any("parity" in test for fault in usual for test in fault.tests), "parity needs PyTorch"


@pytest.mark.parametrize("before", ["nothing of the kind", "return"])
def test_a_text_that_does_not_stand_there_once_is_refused(before, tmp_path):
    (tmp_path / "x.py").write_text("def f():\n    return\n\n\ndef g():\n    return\n")
    with pytest.raises(ValueError, match=r"x\.py holds this [02] times, needed once"):
        plant(Fault("nn", "a fault", "x.py", before, "pass", ()), tmp_path)


@pytest.mark.parametrize(("markers", "status"), [("not slow", 5), ("mutation", 0)])
@pytest.mark.slow
def test_they_run_only_when_they_are_asked_for(markers, status):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-m", markers]
    ran = subprocess.run([*command, "tests/mutations/test_faults.py"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == status, ran.stdout  # 5: no test was collected
    assert ran.stdout.count("::test_it_is_noticed") == (0 if status else len(faults(*FAMILIES)))


# -- the runner -----------------------------------------------------------------------------------------------------
RATES = "tests/optim/test_schedules.py::test_rates"
RATE = "self.gamma ** (t // self.step_size)"  # of StepLR


def changed(after, tests=(RATES,), **more):
    return Fault("optim", "a fault", "tinyres/optim/schedules.py", RATE, after, tests, **more)


def test_a_fault_is_noticed_and_the_sources_stay_as_they_are():
    source = (ROOT / "tinyres/optim/schedules.py").read_text()
    found = judge(changed("self.gamma ** (t // self.step_size + 1)"))
    assert (found.verdict, found.test) == ("noticed", RATES)
    assert found.how.startswith("assert [")
    assert (ROOT / "tinyres/optim/schedules.py").read_text() == source


@pytest.mark.slow
def test_a_change_that_changes_nothing_is_not_noticed():
    assert judge(changed("self.gamma ** (0 + t // self.step_size)")).verdict == "NOT NOTICED"


@pytest.mark.slow
def test_what_cannot_be_imported_says_nothing():
    found = judge(changed("self.gamma ** ("))
    assert found.verdict == "broken"
    assert "SyntaxError" in found.how


@pytest.mark.slow
def test_an_error_that_nobody_foresaw_says_nothing_either():
    found = judge(changed("self.gama ** (t // self.step_size)"))
    assert (found.verdict, found.test) == ("broken", RATES)
    assert "ended with AttributeError, not with an assertion: 'StepLR' object has no attribute 'gama'" in found.how


def test_a_test_that_takes_for_ever_is_stopped(monkeypatch):
    monkeypatch.setattr(run, "LIMIT", 0.2)
    assert judge(changed(RATE + " ")).how == "the test ran past its limit"


def test_where_all_tests_together_take_for_ever_each_says_so(monkeypatch):
    monkeypatch.setattr(run, "UNMUTATED", (0.1, 0.1))
    assert unsound([RATES])[RATES].endswith("; all of them together ran past the limit")


@pytest.mark.slow
def test_a_test_must_run_without_a_fault_and_without_pytorch():
    missing, parity = "tests/optim/test_schedules.py::test_no_such", "tests/parity/test_optim_parity.py"
    found = unsound([RATES, parity])
    assert found.keys() == {parity}
    assert "does not run here, or not without PyTorch" in found[parity]
    assert "ERROR: not found" in unsound([missing])[missing]


def seen(**changes):
    return {
        "test": "t",
        "when": "call",
        "outcome": "failed",
        "error": "ValueError",
        "asserted": False,
        "line": "x",
    } | changes


def test_what_counts_as_noticed():
    fault = changed(RATE)
    assert verdict(fault, Ran(1, [seen(asserted=True)], "")) == ("noticed", "t", "x")
    assert verdict(fault, Ran(1, [seen()], ""))[0] == "broken"
    assert verdict(changed(RATE, error="ValueError"), Ran(1, [seen()], ""))[0] == "noticed"
    assert (
        verdict(changed(RATE, error="ValueError"), Ran(1, [seen(error="AssertionError", asserted=True)], ""))[0]
        == "broken"
    )
    assert verdict(fault, Ran(1, [seen(when="setup", asserted=True)], ""))[0] == "broken"
    assert verdict(fault, Ran(2, [], "E   ImportError: no"))[2] == "pytest ended with status 2; E   ImportError: no"
    assert verdict(fault, Ran(3, [seen(asserted=True)], ""))[0] == "broken"
    assert verdict(fault, Ran(0, [], ""))[0] == "NOT NOTICED"
