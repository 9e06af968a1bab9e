"""`check --guard`: on by itself for what is compiled, off on demand, and for the whole CPU rung."""

import ctypes
import math
import sys
from functools import partial
from types import SimpleNamespace

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance, cpu, guard, im2col, reference
from tinyres_kernels.conformance import guarded
from tinyres_kernels.conformance.guarded import Task
from tinyres_kernels.conformance.kernel import is_compiled

from tests.kernels.conformance.faulty import plain
from tests.kernels.guard import planted

MODULE = """
from numba import njit
from tinyres_kernels import im2col


@njit
def get(a, at):
    return a[at]


def overrun(x, out, s):
    get(x, x.size)
    return im2col.relu(x, out, s)


def plain(x, out, s):
    return im2col.relu(x, out, s)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    name = f"guarded_kernels_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


@pytest.mark.slow
def test_a_compiled_kernel_is_checked_in_guard_mode_unless_told_otherwise(folder, capsys):
    arguments = ["check", f"{folder}:overrun", "--op", "relu", "--examples", "2", "--dtype", "float32"]
    assert command.main(arguments) == 1
    lines = capsys.readouterr().out.partition("\n\n")[2].splitlines()
    assert all(": read or wrote past the end of an array" in line for line in lines[:3])
    assert lines[3].startswith("guard mode: ")
    assert lines[3].endswith(" cases, 3 violations (it stopped there)")
    verdict = "DOES NOT CONFORM: 3 cases above read or wrote beyond an array (its numbers are right)"
    assert f"{folder}:overrun as relu: {verdict}" in lines, "ordinary memory hides it"
    assert command.main([*arguments, "--no-guard"]) == 0
    assert "guard mode" not in capsys.readouterr().out


@pytest.mark.slow
def test_another_kernel_is_checked_in_guard_mode_on_demand(folder, capsys):
    arguments = ["check", f"{folder}:plain", "--op", "relu", "--examples", "2", "--dtype", "float32"]
    count = len(conformance.search.cases("relu", examples=2, dtypes=["float32"]))
    assert command.main(arguments) == 0
    assert "guard mode" not in capsys.readouterr().out
    assert command.main([*arguments, "--guard"]) == 0
    assert f"\n\nguard mode: {count} cases, 0 violations\n\n{folder}:plain as relu: conf" in capsys.readouterr().out


def test_drawn_cases_are_those_of_the_ordinary_check():
    cases = conformance.search.cases("conv2d", examples=9, seed=3)
    report = conformance.check(im2col.conv2d, "conv2d", examples=9, seed=3)
    assert cases == [finding.case for finding in report.named + report.drawn]


@pytest.mark.slow
def test_the_whole_rung(monkeypatch, capsys):
    tasks = [Task(f"{planted.__name__}:{name}", plain()) for name in ("right", "wrong")]
    monkeypatch.setattr(guarded, "own", lambda: iter(tasks))
    assert command.main(["check", "--guard", "--all"]) == 1
    out, err = capsys.readouterr()
    assert f"{planted.__name__}:wrong, plain: x (1, 5, 5, 2)" in out
    assert out.endswith("guard mode: 2 cases, 1 violations\n\n")
    assert err.endswith("\nguard mode: 2 of 2 cases, conv2d\n")
    monkeypatch.setattr(guarded, "own", lambda: iter(tasks[:1]))
    assert command.main(["check", "--guard", "--all"]) == 0


@pytest.mark.parametrize(
    "arguments", ["check", "check m:f", "check --op conv2d", "check --all", "check m:f --all --guard", "check --guard"]
)
def test_what_is_to_be_checked_must_be_said(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        command.main(arguments.split())
    assert exit.value.code == 2
    assert "check needs MODULE:FUNCTION and --op OP; or --guard --all" in capsys.readouterr().err


@pytest.mark.slow
def test_where_memory_cannot_be_protected_one_line_says_so(folder, monkeypatch, capsys):
    monkeypatch.setattr(guard, "possible", lambda: False)
    arguments = ["check", f"{folder}:overrun", "--op", "relu", "--examples", "0", "--dtype", "float32"]
    assert command.main([*arguments, "--guard"]) == 2
    assert "needs mmap and mprotect" in capsys.readouterr().err
    assert command.main(arguments) == 0


class Callable:
    def __call__(self, x, out):
        return planted._get(x, 0)

    def method(self, x, out):
        return planted._get(x, 0)


class Interpreted:
    def __call__(self, x, out):
        return im2col.relu(x, out, slope=0.0)


def around(inner):
    return lambda *args: inner(*args)


COMPILED = {
    "dispatcher": planted._get,
    "calls one": planted.reads_past_the_end,
    "by a table": cpu.conv2d,
    "in a wrapper": cpu.relu,
    "partial": partial(planted._get, at=0),
    "object": Callable(),
    "method": Callable().method,
    "closure": around(planted._get),
    "extension": math.sqrt,
    "ctypes": ctypes.pythonapi.Py_IsInitialized,
}
INTERPRETED = {
    "im2col": im2col.conv2d,
    "reference": reference.batch_norm,
    "object": Interpreted(),
    "closure": around(im2col.relu),
    "namespace": SimpleNamespace(),
}


@pytest.mark.parametrize("name", COMPILED)
def test_what_is_compiled(name):
    assert is_compiled(COMPILED[name])


@pytest.mark.parametrize("name", INTERPRETED)
def test_what_is_not(name):
    assert not is_compiled(INTERPRETED[name])
