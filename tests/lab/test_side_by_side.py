"""Experiments and their pieces in several processes: what is found, in which order, what is shown, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque

import pytest
from tinyres_kernels import waiting

from tinyres.lab import processes, side_by_side
from tinyres.lab.experiment import InPieces, Options, Result
from tinyres.lab.registry import EXPERIMENTS, TOUR
from tinyres.lab.side_by_side import ASKED, BEGUN, COMPILED, TICKS, run_side_by_side, works


def sum_of_two(options, piece, tick):
    tick()
    return piece + options.seed


def test_called_it_measures_one_piece_after_the_other():
    run = InPieces(
        lambda options: [3, 1, 2], sum_of_two, lambda options, found: Result(data={"found": found}), lambda piece: piece
    )
    ticks = []
    assert run(Options(seed=10), lambda: ticks.append(1)).data == {"found": [13, 11, 12]}
    assert len(ticks) == 3


def test_the_longest_come_first_and_pieces_stay_together(tmp_path):
    """The figures of an experiment that comes in pieces wait for the last of them."""
    todo = works(TOUR, Options(), tmp_path)
    assert [work.piece[1] for work in todo[:6]] == [56, 56, 20, 20, 8, 8]
    assert {work.name for work in todo[:6]} == {"digits"}
    seconds = [EXPERIMENTS[work.name].seconds for work in todo]
    assert seconds == sorted(seconds, reverse=True)
    assert sorted(work.place for work in todo) == list(range(10))


def double(item):
    counts = processes.counted()
    for _ in range(item):
        counts[item % len(counts)] += 1
    return 2 * item


def test_results_may_add_to_what_is_waiting_and_the_counters_are_seen():
    seen, todo, found = [], deque([1, 2]), {}
    for item, outcome in processes.each(double, todo, 2, counters=50, watch=lambda counts: seen.append(sum(counts))):
        found[item] = outcome
        if outcome < 20:
            todo.append(10 * item)
    assert found == {1: 2, 2: 4, 10: 20, 20: 40}
    assert seen[-1] == 33
    assert processes.counted() == ()


def end_abruptly(folder):
    """Kill the process that first comes here."""
    try:
        (folder / "been here").mkdir()
    except FileExistsError:
        return "alive"
    os._exit(9)


def test_what_a_process_that_died_was_doing_is_done_once_more(tmp_path):
    todo = deque([tmp_path])
    assert list(processes.each(end_abruptly, todo, 2)) == [(tmp_path, "alive")]


@pytest.mark.slow
def test_pieces_and_figures_are_seen_and_found_whatever_the_number_of_processes(tmp_path, monkeypatch):
    options, found = Options(depths=(8,), steps=2), {}
    for jobs in (1, 3):
        folder, seen = tmp_path / str(jobs), []
        folder.mkdir()
        names = ["digits", "E19"]
        for name, outcome in run_side_by_side(names, options, folder, jobs, lambda *at, seen=seen: seen.append(at)):
            names.remove(name)
            assert all(path.exists() for path in outcome.written)
            assert outcome.result.found
            assert outcome.seconds > 0
        assert names == []
        assert seen[-1] == ("E19", EXPERIMENTS["E19"].ticks(options))
        assert ("digits", EXPERIMENTS["digits"].ticks(options)) in seen
        found[jobs] = {path.name: path.read_bytes() for path in folder.glob("digits*.png")}
        document = json.loads((folder / "digits.json").read_text())
        assert document.pop("seconds") > 0
        found[jobs]["json"] = document
        assert document["figures"] == ["digits.png", "digits-gradients.png", "digits-training.png", "digits-routes.png"]
    assert found[1] == found[3]


def test_one_sentence_where_a_piece_was_lost(tmp_path, monkeypatch):
    def each(attempt, todo, jobs, **how):
        for k, work in enumerate(list(todo)):
            yield work, "its process died twice" if k == 0 else side_by_side.attempt(work)

    monkeypatch.setattr(side_by_side, "each", each)
    outcomes = dict(run_side_by_side(["digits", "E19"], Options(depths=(8,), steps=1), tmp_path, 2))
    assert outcomes["digits"] == "its process died twice"
    assert outcomes["E19"].written


def test_that_kernels_are_compiled_elsewhere_is_passed_on(monkeypatch):
    told = []
    monkeypatch.setattr(waiting, "told", lambda begins, kernels=1: told.append((begins, kernels)))
    look = side_by_side._looks({"one": [0, 1], "other": [2]}, lambda name, ticks: told.append((name, ticks)))
    counts = [0] * 12
    look(counts)
    assert told == []
    counts[BEGUN] = counts[ASKED] = 1
    counts[TICKS] = 5
    look(counts)
    assert told == [("one", 5), (True, 1)]
    counts[ASKED], counts[COMPILED] = 4, 4
    counts[8 + ASKED], counts[8 + COMPILED] = 3, 2
    look(counts)
    assert told[2:] == [("one", 5)]  # another process still waits
    counts[8 + COMPILED] = 3
    look(counts)
    assert told[3:] == [("one", 5), (False, 4)]


def children_of(process):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def runs(pid):
    """Whether a process is at work: one that has ended stays in the table until it is asked for its exit status."""
    found = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes by ps")
@pytest.mark.parametrize("wait", [0.0, 0.7, 3.0])
def test_ctrl_c_ends_all_processes_in_one_line(tmp_path, wait):
    """Also while they are being started, when each would print a traceback of its own."""
    command = [sys.executable, "-m", "tinyres", "flow", "digits", "E19", "--jobs", "2", "--out", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    while process.poll() is None and len(children_of(process.pid)) < 3:  # two, and multiprocessing's own
        time.sleep(0.02)
    time.sleep(wait)
    family = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: every process gets it
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; 0 of 2 experiments are in" in out
    assert error.strip() == "stopped"
    deadline = time.monotonic() + 10
    while any(map(runs, family)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in family if runs(pid)]
