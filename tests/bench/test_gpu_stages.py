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
from tinyres.bench.gpu import __main__ as command_line
from tinyres.bench.gpu import findings, pages, parts, report, smoke, stages, table
from tinyres.cli import main

ROOT = Path(__file__).parents[2]
START = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from threading import Event
out = Path(sys.argv[2])
def write(**row):  # as `parts.write`, which takes a second to import
    with (out / "rows.jsonl").open("a") as file:
        file.write(json.dumps({"part": sys.argv[1], **row}) + "\\n")
"""
OPEN = "write(name='gate', open=True, **{'shut by': []})"
ENDS = {"smoke": OPEN}  # what each part does; the others do nothing


@pytest.fixture
def ends(monkeypatch):
    """{part: what its process does}, to be changed."""
    made = dict(ENDS)
    monkeypatch.setattr(
        report, "command", lambda name, out: [sys.executable, "-c", START + made.get(name, ""), name, str(out)]
    )
    return made


def errors(out):
    return {row["part"]: row["error"] for row in parts.read(out) if "error" in row}


def begun(out):
    return {row["part"] for row in parts.read(out)} & set(parts.PARTS)


# -- limits -----------------------------------------------------------------------------------------------------------
def test_the_first_stage_and_all_of_them_fit_into_their_time():
    seconds = {name: parts.STAGES[name].seconds for name in parts.ALL}
    assert seconds["A"] <= 215
    assert sum(seconds.values()) <= 600
    assert sum(seconds[name] for name in parts.REPORT) <= 8 * 60  # README's word for `gpu-report`
    assert sorted(name for stage in parts.STAGES.values() for name in stage.parts) == sorted(parts.PARTS)
    assert parts.STAGES["A"].parts == ("facts", "warm", "smoke", "conformance", "suite")


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


# -- the gate ---------------------------------------------------------------------------------------------------------
SHUT = """
write(name='CuPy computes', needed=True, seconds=1.0)
write(name='a first launch', needed=True, seconds=1.0, error='RuntimeError: ILLEGAL_ADDRESS')
write(name='gate', open=False, **{'shut by': ['a first launch']})
"""
UNFINISHED = "write(name='gate', open=False, **{'shut by': ['the checks did not come to their end']}); "


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (SHUT, "a first launch: RuntimeError: ILLEGAL_ADDRESS"),
        (UNFINISHED + "os.kill(os.getpid(), signal.SIGSEGV)", "its process ended with -11"),
        (UNFINISHED + "time.sleep(99)", "stopped after 6 s"),
        ("sys.exit('no CUDA')", "its process ended with 1: no CUDA"),
        ("", "no smoke check was made"),
    ],
)
def test_behind_a_shut_gate_nothing_is_begun(ends, tmp_path, monkeypatch, capsys, does, why):
    monkeypatch.setitem(parts.PARTS, "smoke", parts.PARTS["smoke"]._replace(seconds=6))
    ends |= {"smoke": does, "warm": "time.sleep(99)", "facts": "write(name='driver', version=1)"}
    began = time.monotonic()
    assert stages.run(["A", "B"], tmp_path) == 3
    assert time.monotonic() - began < 20  # what warms up beside it is stopped
    said = capsys.readouterr().out
    assert why in said.partition("the gate is shut, and nothing was begun behind it:")[2]
    assert begun(tmp_path) == {"facts", "warm", "smoke"}
    assert errors(tmp_path)["warm"] == "stopped, as the gate is shut"
    assert "driver" in (tmp_path / "report.md").read_text()


def test_an_earlier_runs_open_gate_does_not_count(ends, tmp_path):
    assert stages.run(["A"], tmp_path) == 0
    ends["smoke"] = "os.kill(os.getpid(), signal.SIGSEGV)"
    assert stages.run(["A"], tmp_path) == 3
    ends["smoke"] = OPEN
    assert stages.run(["A"], tmp_path) == 0


def test_a_check_that_is_not_needed_does_not_shut_the_gate(monkeypatch):
    def fails(rung, rng):
        raise AssertionError("\nArrays are not equal\n")

    checks = [smoke.Check("one", lambda rung, rng: {"found": 1}, True), smoke.Check("two", fails, False)]
    with events.gpu_of_nothing():
        monkeypatch.setattr(smoke, "CHECKS", checks)
        rows = list(parts.run("smoke"))
        assert smoke.gate(rows[:2]) == ["the checks did not come to their end"]
        assert smoke.gate([row for row in rows if row is not rows[0]]) == []
        assert rows[2]["error"] == "RuntimeError: Arrays are not equal"
        checks.append(smoke.Check("three", fails, True))
        assert smoke.gate(list(parts.run("smoke"))[1:]) == ["three: RuntimeError: Arrays are not equal"]
    assert "the gate is SHUT: three" in pages.section("smoke", [{"part": "smoke", "name": "gate", "open": False,
                                                                 "shut by": ["three"]}])  # fmt: skip


def test_where_every_kernel_is_right_the_gate_is_open():
    with events.gpu_of_nothing():
        rows = list(parts.run("smoke"))
    assert smoke.gate(rows[1:]) == [], rows
    assert {row["name"] for row in rows if row.get("needed")} == {check.name for check in smoke.CHECKS if check.needed}


@pytest.mark.parametrize(
    ("kernel", "check"),
    [("add", "a first launch"), ("add", "between 16 bytes"), ("relu", "calls another function"),
     ("conv2d", "against float64"), ("conv2d_dx", "against float64"), ("conv2d_dw", "against float64"),
     ("batch_norm", "batch norm"), ("batch_norm_dx", "batch norm"), ("batch_norm_dx", "three losses")],
)  # fmt: skip
def test_a_kernel_that_is_wrong_shuts_the_gate(kernel, check, monkeypatch):
    from tinyres_kernels import im2col

    own = getattr(im2col, kernel)
    with events.gpu_of_nothing() as cupy:

        def wrong_on_the_card(*arrays, **how):
            out = own(*arrays, **how)
            if isinstance(arrays[0], cupy.ndarray):
                written = out if out is not None else arrays[7]
                written[:1] += 1
            return out

        monkeypatch.setattr(im2col, kernel, wrong_on_the_card)
        monkeypatch.setattr(smoke, "CHECKS", [one for one in smoke.CHECKS if check in one.name])
        (shut,) = smoke.gate(list(parts.run("smoke"))[1:])
    assert check in shut


def test_bits_that_change_from_call_to_call_shut_the_gate(monkeypatch):
    from tinyres_kernels import im2col

    own, calls = im2col.conv2d, []

    def racing(*arrays, **how):
        out = own(*arrays, **how)
        calls.append(1)
        if len(calls) % 2:
            out *= np.float32(1 + 2**-23)
        return out

    with events.gpu_of_nothing() as cupy:
        on_card = lambda *a, **how: (racing if isinstance(a[0], cupy.ndarray) else own)(*a, **how)
        monkeypatch.setattr(im2col, "conv2d", on_card)
        monkeypatch.setattr(smoke, "CHECKS", [one for one in smoke.CHECKS if "float64" in one.name])
        (shut,) = smoke.gate(list(parts.run("smoke"))[1:])
    assert "other bits the second time: a race" in shut


# -- a second run -----------------------------------------------------------------------------------------------------
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
