"""The staged run without a GPU: its gate, its limits, what is left of a part that dies, and a second run's rows."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from tests.bench import events
from tests.bench.stages import SHUT, begun, errors
from tinyres.bench.gpu import __main__ as command_line
from tinyres.bench.gpu import findings, pages, parts, report, stages, table
from tinyres.cli import main

ROOT = Path(__file__).parents[2]


# -- limits -----------------------------------------------------------------------------------------------------------
def test_the_first_stage_and_all_of_them_fit_into_their_time():
    seconds = {name: parts.STAGES[name].seconds for name in parts.ALL}
    assert seconds["A"] <= 215
    assert sum(seconds.values()) <= 600
    assert sum(seconds[name] for name in parts.REPORT) <= 8 * 60  # README's word for `gpu-report`
    assert sorted(name for stage in parts.STAGES.values() for name in stage.parts) == sorted(parts.PARTS)
    assert parts.STAGES["A"].parts == ("facts", "warm", "smoke", "conformance", "suite")


@pytest.mark.slow
def test_a_part_that_breaks_or_takes_too_long_is_a_row_and_the_others_are_run(ends, tmp_path, monkeypatch, capsys):
    ends["facts"] = "write(name='one', value=1); write(name='two'); sys.exit('broken')"
    ends["conformance"] = "os.kill(os.getpid(), signal.SIGSEGV)"
    ends["suite"] = """
process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"])
(out / "pid").write_text(str(process.pid))
write(name='half')
time.sleep(99)
"""
    ends["card"] = "write(name='copy', bytes_per_s=4e12)"
    monkeypatch.setitem(parts.PARTS, "suite", parts.PARTS["suite"]._replace(seconds=6))
    began = time.monotonic()
    assert stages.run(["A", "B"], tmp_path) == 0
    assert time.monotonic() - began < 40
    found = errors(tmp_path)
    assert found["facts"] == "its process ended with 1: broken"
    assert found["conformance"].startswith("its process ended with -11")
    assert found["suite"] == "stopped after 6 s, its time being over"
    assert set(found) == {"facts", "conformance", "suite"}
    assert {row["name"] for row in parts.read(tmp_path)} >= {"one", "two", "half", "copy"}  # from before they broke
    child = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    until = time.monotonic() + 5
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < until, "what the part had started still runs"
        time.sleep(0.05)
    rows = parts.read(tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert page.count("\n| ") >= len(table.LINES)
    assert all(
        f"## {parts.PARTS[name].title[0].upper()}{parts.PARTS[name].title[1:]}" in page for name in pages.REPORTED
    )
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["readme"] == table.readme(rows)
    assert table.LINES[0].what in document["not met"]
    assert findings.minutes(rows).value < 1
    assert "stage A, does it work: at most" in capsys.readouterr().out


@pytest.mark.slow
def test_a_part_ends_with_its_time_or_when_it_is_told_to(ends, tmp_path):
    ends["card"] = "time.sleep(99)"
    stop, began = Event(), time.monotonic()
    assert report.launch("card", tmp_path, 2.0, stop) == "stopped after 2 s, its time being over"
    assert 2 <= time.monotonic() - began < 9
    stop.set()
    began = time.monotonic()
    assert report.launch("card", tmp_path, 60.0, stop) == "stopped, as the gate is shut"
    assert time.monotonic() - began < 9


def test_no_part_is_begun_without_time(ends, tmp_path, monkeypatch):
    for name in parts.STAGES["B"].parts:
        monkeypatch.setitem(parts.PARTS, name, parts.PARTS[name]._replace(seconds=1))
    monkeypatch.setattr(report, "launch", lambda *_, **__: pytest.fail("begun"))
    assert stages.run(["B"], tmp_path) == 0
    assert errors(tmp_path) == dict.fromkeys(parts.STAGES["B"].parts, "no time was left")


# -- a second run -----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_second_run_adds_to_the_rows_of_an_earlier_one(ends, tmp_path):
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    ends["conformance"] = "write(name='relu', cases=3, failed=1, faults=['x']); time.sleep(0.1); sys.exit('died')"
    ends["suite"] = "write(name='pytest', counts={'passed': 1}, outcomes={'a.py::one': 'passed'})"
    assert stages.run(["A"], earlier) == 0
    ends["card"] = "write(name='copy', bytes_per_s=4e12)"
    assert stages.run(["B"], later, earlier) == 0
    rows = parts.read(later)
    assert findings.bandwidth(rows) == 4e12
    assert findings.suite(rows).value == 0
    assert findings.conformance(rows).value == 1
    assert "died" in findings.conformance(rows).wanting
    assert not findings.of(parts.read(earlier), "card")  # which stays as it was
    ends["conformance"] = "write(name='relu', cases=3, failed=0, faults=[])"
    assert stages.run(["A"], later, earlier) == 0  # it has rows of its own by now
    assert findings.conformance(parts.read(later)).value == 0
    assert "died" not in findings.conformance(parts.read(later)).wanting
    assert findings.bandwidth(parts.read(later)) == 4e12


WARM = """
from tinyres.bench.gpu import warm
if __name__ == "__main__":
    few = [row for row in warm.listed() if ".add_kernel" in row["make"] and "float32" in str(row["given"])]
    write(name='CUDA kernels', **warm.compile_all(few, (9, 0), 1))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="NO COMPILER: numba-cuda is missing")
def test_a_second_run_compiles_nothing_twice(ends, tmp_path, monkeypatch):
    ends["warm"] = WARM
    monkeypatch.setitem(os.environ, "NUMBA_CACHE_DIR", "/nowhere")
    assert stages.run(["A"], tmp_path / "one") == 0
    (first,) = (row for row in parts.read(tmp_path / "one") if row["name"] == "CUDA kernels")
    if first["failed"]:
        pytest.skip(f"NO COMPILER: {first['error']}")
    assert (first["kernels"], first["compiled"], first["kept"]) == (2, 2, 0)
    assert stages.run(["A"], tmp_path / "two", tmp_path / "one") == 0
    (second,) = (row for row in parts.read(tmp_path / "two") if row["name"] == "CUDA kernels")
    assert (second["compiled"], second["kept"]) == (0, 2)
    assert (tmp_path / "two" / stages.CACHES).stat().st_size > 1000
    (tmp_path / "two" / stages.CACHES).write_bytes(b"broken")
    assert stages.run(["A"], tmp_path / "two") == 0
    (third,) = (row for row in parts.read(tmp_path / "two") if row["name"] == "CUDA kernels")
    assert third["compiled"] == 2


@pytest.mark.parametrize("fault", ["whole", "cut", "a bomb", "text"])
def test_caches_that_are_damaged_or_swollen_are_left_and_that_is_said(tmp_path, capsys, monkeypatch, fault):
    (tmp_path / "old").mkdir()
    for k in range(3):
        (tmp_path / "old" / f"{k}.cubin").write_bytes(np.random.default_rng(k).bytes(100_000))
    stages._keep(tmp_path / "old", tmp_path)
    path = tmp_path / stages.CACHES
    whole = path.read_bytes()
    damaged = {"cut": whole[:-60_000], "text": b"kernels"}
    path.write_bytes(damaged.get(fault, whole))
    if fault == "a bomb":
        monkeypatch.setattr(stages, "MOST", 250_000)
    (tmp_path / "new").mkdir()
    stages._take_over(tmp_path, None, tmp_path / "new")
    said, there = capsys.readouterr().out, sum(file.stat().st_size for file in (tmp_path / "new").iterdir())
    assert ("caches.tgz cannot be read (" in said) == (fault != "whole")
    assert there <= (200_000 if fault == "a bomb" else 300_000)
    assert fault != "whole" or there == 300_000


# -- as a command -----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_whole_stage_on_the_stand_in(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "command", lambda name, out: [sys.executable, events.__file__, name, str(out)])
    assert stages.run(["A"], tmp_path) == 0, (tmp_path / report.LOG).read_text()
    assert set(errors(tmp_path)) <= {"facts", "smoke"}  # of what only a machine with a GPU has
    rows = parts.read(tmp_path)
    assert findings.conformance(rows).value == 0
    assert findings.suite(rows).text == "1 passed"
    page = (tmp_path / "report.md").read_text()
    assert "the gate is open" in page
    assert "a stand-in" in page.splitlines()[2]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "caches.tgz", "log.txt", "report.json", "report.md", "rows.jsonl",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(find_spec("cupy") is not None, reason="CuPy is installed")
def test_from_a_plain_checkout_without_a_gpu_the_gate_is_shut(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "tinyres.bench.gpu", "run", "--out", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "kernels"])},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 3, ran.stderr
    assert "- CuPy computes: " in ran.stdout
    assert "needs CuPy, which is not installed" in ran.stdout
    assert "conformance" not in begun(tmp_path)


@pytest.mark.slow
def test_the_report_begins_anew_and_is_printed(ends, tmp_path, capsys):
    parts.write({"part": "card", "name": "old"}, tmp_path)
    ends["card"] = "write(name='copy', bytes_per_s=4e12)"
    assert stages.main(tmp_path) == 0
    rows = parts.read(tmp_path)
    assert "old" not in [row["name"] for row in rows]
    assert begun(tmp_path) == set(pages.REPORTED)
    assert table.readme(rows) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Z"], "no stage Z; there are A, B, C, K"),
        (["K"], "the stage K needs --tests"),
        (["A", "--earlier", "/nowhere"], "--earlier /nowhere: no such folder"),
    ],
)
def test_what_cannot_be_run_is_told(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        command_line.main("run", *words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_tests_are_run_by_name(ends, tmp_path):
    ends["again"] = "write(name='asked', tests=os.environ['TINYRES_GPU_TESTS'], caches=os.environ['NUMBA_CACHE_DIR'])"
    assert command_line.main("run", "K", "--tests", "stream or tile", "--out", str(tmp_path)) == 0
    (row,) = (row for row in parts.read(tmp_path) if row["name"] == "asked")
    assert row["tests"] == "stream or tile"
    assert not Path(row["caches"]).exists()  # packed, and gone


def test_the_users_door_leads_there(ends, tmp_path, capsys):
    with events.gpu_of_nothing():
        ends["smoke"] = SHUT
        assert main(["bench", "gpu-report", "--out", str(tmp_path / "new")]) == 3
    assert "the gate is shut" in capsys.readouterr().out
