"""A second process compiles what a training step needs last, and processes that share a folder take turns."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tinyres_kernels import cpu
from tinyres_kernels.cpu import ahead, small_step, turns

HOLD = """
import sys, time
from pathlib import Path
from tinyres_kernels.cpu.turns import Turn
Turn(Path(sys.argv[1]), "f").take()
print("taken", flush=True)
time.sleep(float(sys.argv[2]))
"""
WITHOUT_LOCKS = pytest.mark.skipif(turns.fcntl is None, reason="this system has no locks of bytes")


def holder(folder, seconds):
    """Another process that has the turn at "f"."""
    made = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert made.stdout.readline() == "taken\n"
    return made


@WITHOUT_LOCKS
@pytest.mark.slow
def test_a_turn_is_waited_for_and_ends_with_its_process(tmp_path):
    with holder(tmp_path, 600) as other:
        assert turns.Turn(tmp_path, "g").take() is False, "another function's turn is free"
        assert turns.Turn(tmp_path, "f")._lock() is False
        other.kill()
        other.wait()
        mine = turns.Turn(tmp_path, "f")
        assert mine._lock(), "the system gave it back"
        mine.end()
    with holder(tmp_path, 0.3):
        assert turns.Turn(tmp_path, "f").take(), "it says that another process had it before"


@WITHOUT_LOCKS
def test_patience_has_an_end(tmp_path):
    with holder(tmp_path, 600) as other:
        start = time.monotonic()
        assert turns.Turn(tmp_path, "f").take(patience=0.2)
        assert 0.2 <= time.monotonic() - start < 30
        other.kill()


@pytest.mark.parametrize("kind", ["no locks", "no folder", "a file system without locks"])
def test_without_locks_nobody_waits(tmp_path, monkeypatch, kind):
    folder = tmp_path
    if kind == "no locks":
        monkeypatch.setattr(turns, "fcntl", None)
    elif kind == "no folder":
        folder = Path(os.devnull) / "nowhere"
    elif turns.fcntl is not None:

        def refuse(*arguments):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(turns.fcntl, "lockf", refuse)
    turn = turns.Turn(folder, "f")
    assert turn.take() is False
    turn.end()


def compiled_in(folder):
    return {path.name.split("-")[0].rsplit("_", 1)[0] for path in folder.rglob("*.nbc")}


FIRST = """
import numpy as np, time
import tinyres_kernels.cpu as cpu
line = np.ones(8, np.float32)
cpu.add(line, line, line.copy())
time.sleep({seconds})
"""


def first(folder, seconds, **environment):
    """A process that compiles one kernel, as the first one does, and stays for a while."""
    environment = {
        **os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **environment
    }  # fmt: skip
    code = FIRST.format(seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


@WITHOUT_LOCKS
@pytest.mark.skipif(ahead._cores() < 2, reason="one core")
@pytest.mark.slow
def test_the_first_process_has_another_compile_ahead(tmp_path):
    with first(tmp_path, 600, TINYRES_COMPILE_AHEAD="1") as process:
        end = time.monotonic() + 240
        while "update._sgd" not in compiled_in(tmp_path) and time.monotonic() < end:
            time.sleep(0.1)
        assert "update._sgd" in compiled_in(tmp_path), "which the process itself never calls"
        process.terminate()
        process.wait()
    deadline = time.monotonic() + 60
    while turns.Turn(folder_of(tmp_path), ahead.NAME).take(patience=0):  # the second process is still there
        assert time.monotonic() < deadline, "it must end with the first"
        time.sleep(0.1)
    assert "strided_loops.weight_gradient" not in compiled_in(tmp_path), "it stopped in the middle"


def folder_of(cache):
    return next(cache.rglob(turns.FILE)).parent


def test_the_switch_turns_it_off(tmp_path):
    with first(tmp_path, 3, TINYRES_COMPILE_AHEAD="0") as process:
        assert process.communicate()[1] == ""
    assert compiled_in(tmp_path) == {"elementwise._add"}


def test_every_call_of_the_step_is_one_that_kernels_take():
    made = list(small_step.calls())
    assert {"conv2d", "conv2d_dx", "conv2d_dw", "batch_norm_dx", "cross_entropy", "sgd"} < {op for op, *_ in made}
    for op, choices, arguments in made:
        with cpu.forced(**choices):
            getattr(cpu, op)(*arguments)


NOBODY = {
    "switched off": lambda patch: patch.setenv(ahead.SWITCH, "0"),
    "one core": lambda patch: patch.setattr(ahead, "_cores", lambda: 1),
    "one is at work": lambda patch: patch.setattr(ahead.Turn, "_lock", lambda self: False),
    "a frozen program": lambda patch: patch.setattr(sys, "frozen", True, raising=False),
    "no interpreter": lambda patch: patch.setattr(sys, "executable", None),
}


@pytest.mark.parametrize("kind", [None, *NOBODY])
def test_when_nobody_is_to_be_started(tmp_path, monkeypatch, kind):
    started = []
    monkeypatch.setenv(ahead.SWITCH, "1")
    monkeypatch.setattr(ahead, "_cores", lambda: 2)
    monkeypatch.setattr(ahead.subprocess, "Popen", lambda command, **k: started.append(command))
    monkeypatch.setattr(ahead.atexit, "register", lambda *arguments: None)
    if kind:
        NOBODY[kind](monkeypatch)
    ahead.begin.__wrapped__(tmp_path)
    assert len(started) == (kind is None)


def test_a_process_that_cannot_be_started_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv(ahead.SWITCH, "1")
    monkeypatch.setattr(ahead, "_cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    ahead.begin.__wrapped__(tmp_path)
