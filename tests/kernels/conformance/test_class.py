"""What whoever marks a class needs: everybody in the files, told apart; limits that hold, and a clean stop."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels.conformance import kernel as kernels
from tinyres_kernels.conformance import search
from tinyres_kernels.conformance.child import _place

from tests.kernels.conformance import own
from tests.kernels.conformance.test_child import HERE, check, found

__all__ = ["found"]

ROOT = Path(__file__).parents[3]
SLOW = """
import time

from tinyres_kernels import im2col


def add(a, b, out):
    im2col.add(a, b, out)
    time.sleep(0.2)
    print("called", file=open("called", "a"))
"""


@pytest.mark.parametrize("broken", ["def conv2d(:", "import no_such_library", None])
def test_a_module_that_cannot_be_imported_is_in_both_files(broken, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    place = f"{tmp_path.name.replace('-', '_')}_student.py:conv2d"
    if broken:
        Path(place.partition(":")[0]).write_text(broken)
    assert command.main(["check", place, "--op", "conv2d", "--json", "r.json", "--junit", "r.xml"]) == 2
    said = capsys.readouterr().err.partition("tinyres_kernels: ")[2].strip()
    told = json.loads(Path("r.json").read_text())
    assert (told["kernel"], told["conforms"], told["error"]) == (place, False, said)
    assert (told["cases"], told["passed"], told["failed"]) == (0, 0, 0)
    suite = ElementTree.parse("r.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    assert suite.find("testcase/error").get("message") == said
    assert place in suite.get("name")


def test_two_students_with_one_file_name_are_told_apart(tmp_path, capsys):
    for name in ("ann", "bob"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("from tinyres_kernels import im2col\n\nrelu = im2col.relu\n")
        place = f"{tmp_path / name / 'mine.py'}:relu"
        report = tmp_path / name / "r.json"
        arguments = ["--op", "relu", "--examples", "0", "--limit", "0", "--dtype", "float64", "--json", str(report)]
        assert command.main(["check", place, *arguments]) == 0
        assert json.loads(report.read_text())["kernel"] == place
        assert f"{place} as relu: conforms" in capsys.readouterr().out


def test_the_start_of_a_process_does_not_count_and_a_short_limit_is_short(monkeypatch):
    began = time.perf_counter()
    report = check("hangs", limit=0.3, examples=0)
    assert report.breach.startswith("It was stopped after 0.3 s (the limit of 0.3 s) in its first case")
    assert report.named[0].seconds == 0.3
    assert time.perf_counter() - began < 60


def test_a_crash_is_told_with_the_last_line_of_python_and_what_ctypes_needs():
    report = check("crashes_with_groups", examples=0)
    (kind,) = report.kinds
    (fault,) = kind.example.faults
    assert fault.startswith("ended its process by SIGSEGV, in crashes_with_groups (line ")
    assert fault.endswith(" of own.py: ctypes.string_at(0))")
    assert _place(f'  File "{ctypes.__file__}", line 3 in string_at\n') == "", "of the library no line is told"


def test_what_calls_c_is_known_and_so_is_what_compiles_as_it_is_called():
    library = ctypes.CDLL(None)
    scope = {"library": library}
    exec("def kernel(x, out):\n    library.labs(3)", scope)
    scope["kernel"].__module__ = "student"
    assert kernels.by_ctypes(scope["kernel"])
    assert not kernels.compiler(scope["kernel"])
    assert not kernels.by_ctypes(own.right)
    numba = pytest.importorskip("numba")
    assert kernels.compiler(numba.njit(lambda x: x)) == "Numba"


@pytest.mark.slow
def test_who_stops_a_check_gets_what_was_found_and_no_traceback(tmp_path):
    (tmp_path / "slow_kernel.py").write_text(SLOW)
    run = [sys.executable, "-m", "tinyres_kernels", "check", "slow_kernel:add", "--op", "add", "--json", "r.json"]
    path = os.pathsep.join(map(str, [ROOT / "kernels", ROOT]))
    started = subprocess.Popen(
        run, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (tmp_path / "called").exists() and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(started.pid, signal.SIGINT)  # as a terminal does: all processes hear it
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert said.splitlines() == [line for line in said.splitlines() if line.startswith("tinyres_kernels: stopped; of ")]
    told = json.loads((tmp_path / "r.json").read_text())
    assert (told["stopped"], told["conforms"]) == (True, False)
    assert told["cases"] == told["passed"] > 0


def test_a_check_that_is_stopped_hands_over_its_report():
    calls = []

    def kernel(a, b, out):
        calls.append(1)
        if len(calls) > 5:
            raise KeyboardInterrupt
        np_add(a, b, out)

    from tinyres_kernels.im2col import add as np_add

    with pytest.raises(search.Stopped) as stopped:
        search.check(kernel, "add", examples=0)
    report = stopped.value.report
    assert report.named[0].ok
    assert report.stopped
    assert not report.ok
    assert report.verdict == "STOPPED BEFORE THE END (right as far as it came)"


def test_the_three_counts_are_one(tmp_path, capsys):
    files = {"json": tmp_path / "r.json", "junit": tmp_path / "r.xml"}
    arguments = ["check", f"{HERE}:last_row", "--op", "conv2d", "--examples", "5", "--limit", "0"]
    assert command.main([*arguments, *(f"--{name}={file}" for name, file in files.items())]) == 1
    text = capsys.readouterr().out
    told = json.loads(files["json"].read_text())
    suite = ElementTree.parse(files["junit"]).getroot()[0]
    assert f"cases: {told['failed']} of the {told['cases']} that were run fail" in text
    assert (int(suite.get("tests")), int(suite.get("failures"))) == (told["cases"], told["failed"])


@pytest.mark.slow
def test_the_verdict_says_what_guard_mode_saw(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("reads_beyond.py").write_text(
        "import numpy as np\nfrom tinyres_kernels import im2col\n\n\ndef relu(x, out, s):\n"
        "    np.lib.stride_tricks.as_strided(x, (x.size + 1,), x.strides)[-1:].copy()\n    im2col.relu(x, out, s)\n"
    )
    arguments = [
        "check",
        "reads_beyond.py:relu",
        "--op",
        "relu",
        "--examples",
        "0",
        "--dtype",
        "float64",
        "--limit",
        "0",
    ]
    assert command.main([*arguments, "--guard", "--json", "r.json"]) == 1
    text = capsys.readouterr().out
    assert "reads_beyond.py:relu as relu: DOES NOT CONFORM: 3 cases above read or wrote beyond an array" in text
    assert ": conforms" not in text
    told = json.loads(Path("r.json").read_text())
    assert (told["conforms"], told["beyond_arrays"], told["failed"]) == (False, 3, 0)
