"""A kernel that hangs or crashes: its process ends, and the check goes on."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance
from tinyres_kernels.conformance import child
from tinyres_kernels.conformance.adapt import Adapt
from tinyres_kernels.conformance.child import Child

from tests.kernels.conformance import compiled, own

HERE = own.__name__


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """The children find the tests where this process does."""
    monkeypatch.setattr(sys, "path", [str(Path(own.__file__).parents[3]), *sys.path])


def check(name, op="conv2d", limit=20.0, **how):
    with Child(f"{HERE}:{name}", Adapt(), limit) as run:
        return conformance.check(getattr(own, name), op, run=run, dtypes=["float64"], **how)


@pytest.mark.slow
def test_findings_are_those_of_this_process():
    for name in ("right", "channels_first"):
        there, here = (
            check(name, examples=3),
            conformance.check(getattr(own, name), "conv2d", dtypes=["float64"], examples=3),
        )
        assert (there.breach, there.ok) == (here.breach, here.ok)
        assert [f.faults for f in there.named] == [f.faults for f in here.named]
        assert [f.case for f in there.drawn] == [f.case for f in here.drawn]


@pytest.mark.slow
def test_a_case_that_takes_too_long_is_a_failure_of_its_own_kind_and_the_others_go_on():
    report = check("hangs_with_groups", limit=0.5, examples=3)
    assert report.kinds[0].name == "groups > 1: takes longer than the limit"
    assert report.kinds[0].example.faults == ["was stopped after 0.5 s (the limit of 0.5 s)"]
    assert not report.kinds[0].example.wrong, "of what came to no end no element is called wrong"
    text = " ".join(str(report).split())
    assert "as conv2d: TOO SLOW TO BE CHECKED" in text, "what came to its end was right"
    assert "the kernel may merely be slow: `--limit 5` gives each case 5 s, `--limit 0` as long as it takes." in text
    failing = [f.case.title for f in report.named if f.signs == {"slow"}]
    assert failing == ["groups 2", "groups 3, one output each", "depthwise"]
    left = [f for f in report.named if f.signs == {"left"}]
    assert not any(f.ok for f in left), "what was not run has not passed"
    assert "groups of 17 outputs (tile tail)" in {f.case.title for f in left}
    idle = sum(f.ok and not f.asked for f in report.named)
    assert idle, "the empty batch was answered without a call"
    run = len(report.named) - idle - len(left) + bool(report.drawn)
    assert f"cases: 3 of the {run} that were run fail ({len(left)} were not run)" in str(report)


@pytest.mark.slow
def test_a_kernel_that_ends_its_process_does_not_end_the_check():
    report = check("crashes_with_groups", examples=0)
    assert [kind.name for kind in report.kinds] == ["groups > 1: ends its process"]
    assert report.kinds[0].example.faults[0].startswith("ended its process by SIGSEGV")
    assert len([f for f in report.named if not f.ok]) == 5


def test_how_a_process_ended():
    with Child(f"{HERE}:leaves", Adapt(), 20.0) as run:
        (case,) = conformance.search.cases("conv2d", examples=0, dtypes=["float64"])[:1]
        assert run(case).faults[0].startswith("ended its process with status 3")
    assert child._death(-11) == "by SIGSEGV"


def test_a_kernel_that_never_returns_is_one_sentence(capsys, tmp_path):
    files = {name: tmp_path / f"report.{name}" for name in ("json", "junit")}
    arguments = ["check", f"{HERE}:hangs", "--op", "conv2d", "--limit", "0.5"]
    assert command.main([*arguments, *(f"--{name}={file}" for name, file in files.items())]) == 1
    out, err = capsys.readouterr()
    out = " ".join(out.split())
    limit = "0.5 s (the limit of 0.5 s)"
    assert f"It was stopped after {limit} in its first case (plain). Nothing more was run." in out
    assert "It may never end, or the kernel may merely be slow: `--limit 5` gives each case 5 s" in out
    left = len(conformance.search.cases("conv2d", examples=0)) - 1
    assert f"cases: the only one that was run fails ({left} were not run)" in out
    assert err == ""
    told = json.loads(files["json"].read_text())
    assert (told["conforms"], told["passed"], told["cases"], told["failed"]) == (False, 0, 1, 1)
    assert told["not_run"] == sum(result["ok"] is None for result in told["results"]) == left
    suite = ElementTree.parse(files["junit"]).getroot()[0]
    assert (suite.get("failures"), suite.get("skipped")) == ("1", str(left))
    assert (len(suite.findall(".//failure")), len(suite.findall(".//skipped"))) == (1, left)


def test_no_limit_is_this_process(monkeypatch):
    monkeypatch.setattr(child.Child, "__init__", None)
    assert command.main(["check", f"{HERE}:right", "--op", "conv2d", "--limit", "0", "--examples", "2"]) == 0


@pytest.mark.slow
def test_numba_gets_time_to_compile_for_each_type_of_arrays_and_whoever_waits_is_told(monkeypatch, capsys):
    monkeypatch.setattr(child, "PATIENT", 0.5)
    place = f"{compiled.__name__}:matmul"
    with Child(place, Adapt(), 0.9) as run:
        cases = conformance.search.cases("matmul", examples=0)
        for case in (case for case in cases if case.elements < 1000):
            assert not run(case).signs, case.title
    told = capsys.readouterr().err
    assert "Numba compiles it for each dtype and layout that it is called with: 1 of 8 so far." in told
    assert "7 of 8 so far" in told
    assert "8 of 8" not in told
