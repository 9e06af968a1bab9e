"""How the GPU report runs the suite: with and without workers, whatever is missing or warns on that machine."""

import os
import re
from importlib.util import find_spec

import pytest

from tinyres.bench.gpu import findings, parts, suite

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\nfilterwarnings = ['error']\naddopts = '--no-such-option'\n",
    "test_it.py": "import pytest, time, warnings\n"
    "def test_good(): pass\n"
    "def test_bad(): assert 1 == 2\n"
    "def test_left(): pytest.skip('no')\n"
    "def test_warns(): warnings.warn('NumPy 2.5 is new')\n"
    "@pytest.mark.parametrize('x', ['a - b PASSED', 'two words'])\n"
    "def test_odd(x): assert x != 'two words'\n"
    "def test_slow(): time.sleep(600)\n",
    "test_other.py": "import jsonschema_is_missing\ndef test_of_it(): pass\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("workers", [pytest.param(True, marks=pytest.mark.slow), False])
def test_every_test_is_counted_once_whoever_runs_it(folder, monkeypatch, workers):
    if workers and find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed")
    monkeypatch.setattr(suite, "WORKERS", 2)
    monkeypatch.setattr(suite.importlib.util, "find_spec", lambda name: (workers and name == "xdist") or None)
    text, stopped = suite.pytest(folder, ["-k", "not slow", "."], 60)
    assert ("[gw0]" in text) == workers
    row = suite.tell(text, stopped)
    assert "error" not in row
    assert row["outcomes"] == {
        "test_it.py::test_good": "passed",
        "test_it.py::test_bad": "failed",
        "test_it.py::test_left": "skipped",
        "test_it.py::test_warns": "passed",  # though the suite's own settings make an error of it
        "test_it.py::test_odd[a - b PASSED]": "passed",
        "test_it.py::test_odd[two words]": "failed",
        "test_other.py": "error",  # and the tests of the other file are run
    }
    assert row["counts"] == {"passed": 3, "failed": 2, "skipped": 1, "error": 1}
    assert row["failed"] == 3
    assert any("test_bad" in reason for reason in row["reasons"])


@pytest.mark.slow
def test_what_ended_before_it_was_stopped_is_told(folder):
    for limit in (4, 16, 64):  # how long pytest takes to begin depends on the machine and on what runs beside it
        late = suite.tell(*suite.pytest(folder, ["test_it.py"], limit))
        assert late["error"] == f"stopped after {limit} s"
        if "test_it.py::test_odd[two words]" in late["outcomes"]:
            break
    assert late["outcomes"]["test_it.py::test_bad"] == "failed"
    assert "test_it.py::test_slow" not in late["outcomes"]


@pytest.mark.slow
def test_a_run_that_cannot_begin_says_why(folder):
    none = suite.tell(*suite.pytest(folder, ["no_such_file.py"], 60))
    assert re.match("pytest ended with [45]: ", none["error"])  # 5 is what workers make of it
    assert none["counts"] == {}


LINES = """\
[gw3] [ 12%] PASSED tests/device/test_nn.py::test_a[cupy-Conv2d]
[gw11] [100%] FAILED tests/kernels/cuda/test_gpu.py::test_b[a residual network's layer-float32]
tests/device/test_nn.py::test_c[cupy]
[gw0] [  9%] SKIPPED tests/device/test_nn.py::test_c[cupy]
tests/device/test_nn.py::test_d PASSED                                   [ 50%]
FAILED tests/kernels/cuda/test_gpu.py::test_b[a residual network's layer-float32] - assert 1 == 2
"""


def test_lines_of_workers_and_of_one_process_are_read():
    assert suite.tell(LINES, None)["outcomes"] == {
        "tests/device/test_nn.py::test_a[cupy-Conv2d]": "passed",
        "tests/kernels/cuda/test_gpu.py::test_b[a residual network's layer-float32]": "failed",
        "tests/device/test_nn.py::test_c[cupy]": "skipped",
        "tests/device/test_nn.py::test_d": "passed",
    }


def test_only_the_tests_that_can_need_a_gpu_are_collected(monkeypatch):
    """Whatever a viewer's or a tutorial's test imports need not be there."""
    asked = []
    monkeypatch.setattr(suite, "pytest", lambda root, arguments, *_: asked.append(arguments) or ("", None))
    monkeypatch.setattr(suite, "sanitizer", lambda tool: [])
    monkeypatch.setenv(suite.TESTS, "stream or every_tile")
    for name in ("suite", "table", "memcheck", "racecheck", "again"):
        list(parts.run(name))
    assert len(asked) == 5
    for arguments in asked:
        assert arguments[:2] == ["-m", "gpu"]
        files = [a for a in arguments if a.startswith("tests")]
        assert files
        assert all(a.startswith(("tests/device", "tests/kernels/cuda")) for a in files)
    assert asked[-1][-1] == "stream or every_tile"
    assert asked[0][-2:] == ["--ignore", suite.SLOW]
    assert asked[1][-1] == suite.SLOW
    assert {"tests/device", "tests/kernels/cuda/test_gpu.py"} <= set(asked[0])
    assert not [a for a in asked[0] if "simulator" in a or "test_compile" in a]


def test_runs_add_up_and_a_test_that_was_run_again_counts_as_it_ended_last(tmp_path, monkeypatch):
    def run(part, text, stopped=None):
        monkeypatch.setattr(suite, "pytest", lambda *_: (text, stopped))
        for row in parts.run(part):
            parts.write(row, tmp_path)
        return findings.suite(parts.read(tmp_path))

    first = run("suite", "a.py::one PASSED\na.py::two FAILED\na.py::three ERROR\n", "stopped after 9 s")
    assert (first.value, first.text) == (2, "1 passed, 1 failed, 1 error")
    assert "stopped after 9 s" in first.wanting
    both = run("table", "b.py::four PASSED\n")
    assert (both.value, both.text) == (2, "2 passed, 1 failed, 1 error")
    mended = run("again", "a.py::two PASSED\n")
    assert (mended.value, mended.text) == (1, "3 passed, 1 error")
    whole = run("suite", "a.py::one PASSED\na.py::two PASSED\na.py::three PASSED\n")
    assert (whole.value, whole.text, whole.wanting) == (0, "4 passed", "")


# -- compute-sanitizer ------------------------------------------------------------------------------------------------
FOUND = """\
========= COMPUTE-SANITIZER
a.py::one PASSED
========= Invalid __global__ read of size 4 bytes
=========     at conv2d_dx+0x120
========= ERROR SUMMARY: 2 errors
"""


def test_faults_under_a_checker_are_counted_and_told(monkeypatch):
    row = suite.checked("memcheck", FOUND, "pytest ended with 9: ...")
    assert (row["faults"], row["counts"]) == (2, {"passed": 1})
    assert row["found"] == ["Invalid __global__ read of size 4 bytes"]
    rows = [{"part": "memcheck", "name": "x", **row}]
    assert findings.checker("memcheck")(rows).value == 2
    none = suite.checked("racecheck", "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)\n", None)
    assert none["faults"] == 0
    assert "no test passed" in findings.checker("racecheck")([{"part": "racecheck", "name": "x", **none}]).wanting
    with pytest.raises(RuntimeError, match="stopped after 5 s"):
        suite.checked("memcheck", "a.py::one PASSED\n", "stopped after 5 s")


def test_a_checker_that_is_missing_is_a_row(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CUDA_HOME", "/nowhere/cuda")
    (row,) = parts.run("memcheck")
    assert row["part"] == "memcheck"
    assert row["error"].endswith("needs compute-sanitizer, which is neither on PATH nor in /nowhere/cuda/bin")


def test_a_checker_begins_the_command(folder, monkeypatch):
    tool = folder / "compute-sanitizer"
    tool.write_text('#!/bin/sh\necho "========= $1 $2"\nshift 4\n"$@"\necho "========= ERROR SUMMARY: 0 errors"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    text, stopped = suite.pytest(folder, ["-k", "good", "test_it.py"], 60, suite.sanitizer("memcheck"))
    assert text.startswith("========= --tool memcheck")
    assert "[gw0]" not in text
    assert suite.checked("memcheck", text, stopped) == {
        "tool": "memcheck", "faults": 0, "counts": {"passed": 1}, "found": [],
    }  # fmt: skip
