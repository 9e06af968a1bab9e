"""A second process compiles what a training step needs last, and processes that share a folder take turns."""

import os
import pickle
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from tinyres_kernels import cpu
from tinyres_kernels.cpu import ahead, cache, jit, small_step, turns
from tinyres_kernels.settings import Conv

HOLD = """
import sys, time
from pathlib import Path
from tinyres_kernels.cpu.turns import Turn
Turn(Path(sys.argv[1]), "f").take()
print("taken", flush=True)
time.sleep(float(sys.argv[2]))
"""
WITHOUT_LOCKS = pytest.mark.skipif(turns.fcntl is None, reason="this system has no locks of bytes")
TWO_CORES = pytest.mark.skipif(ahead._cores() < 2, reason="one core")


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
{more}
time.sleep({seconds})
"""
CONVOLUTION = """
from tinyres_kernels.settings import Conv
x, w, out = np.ones((2, 8, 8, 3), "f"), np.ones((3, 3, 3, 16), "f"), np.ones((2, 8, 8, 16), "f")
cpu.conv2d(x, w, out, Conv((1, 1), (1, 1), (1, 1), 1))
"""


def first(folder, seconds, more="", **environment):
    """A process that compiles one kernel, as the first one does, and stays for a while."""
    environment = {
        **os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **environment
    }  # fmt: skip
    code = FIRST.format(seconds=seconds, more=more)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)


def until_compiled(folder, *names):
    end = time.monotonic() + 240
    while not {*names} <= compiled_in(folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert {*names} <= compiled_in(folder)


def until_alone(folder):
    """No process compiles ahead."""
    deadline = time.monotonic() + 60
    while turns.Turn(folder_of(folder), ahead.NAME).take(patience=0):
        assert time.monotonic() < deadline, "it must end with the first"
        time.sleep(0.1)
    turns.Turn(folder_of(folder), ahead.NAME).end()


@WITHOUT_LOCKS
@TWO_CORES
@pytest.mark.slow
@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_the_second_process_ends_with_the_first(tmp_path, end):
    with first(tmp_path, 600, TINYRES_COMPILE_AHEAD="1") as process:
        until_compiled(tmp_path, "elementwise._relu_dx")  # which the process itself never calls
        getattr(process, end)()
        process.wait()
    until_alone(tmp_path)
    assert "rows.normalise" not in compiled_in(tmp_path), "it stopped in the middle"


@WITHOUT_LOCKS
@TWO_CORES
@pytest.mark.slow
def test_the_adjoints_of_what_was_planned_are_compiled(tmp_path):
    with first(tmp_path, 600, CONVOLUTION, TINYRES_COMPILE_AHEAD="1") as process:
        until_compiled(tmp_path, "loops.outer", "loops.add_shares")
        process.terminate()
        process.wait()
    until_alone(tmp_path)


def folder_of(cache):
    return next(cache.rglob(turns.FILE)).parent


@pytest.mark.slow
def test_the_switch_turns_it_off(tmp_path):
    with first(tmp_path, 3, TINYRES_COMPILE_AHEAD="0") as process:
        assert process.communicate()[1] == ""
    assert compiled_in(tmp_path) == {"elementwise._add"}


SAME, BY_TWO = Conv((1, 1), (1, 1), (1, 1), 1), Conv((2, 2), (1, 1), (1, 1), 1)
PLANS = {
    "conv2d": ("conv2d", ((2, 8, 8, 3), (3, 3, 3, 16), (2, 8, 8, 16)), 4, (), SAME),
    "conv2d_dx": ("conv2d_dx", ((2, 4, 4, 16), (3, 3, 3, 16), (2, 8, 8, 3)), 8, (), BY_TWO),
    "conv2d_dw": ("conv2d_dw", ((2, 8, 8, 3), (2, 8, 8, 16), (3, 3, 3, 16)), 4, (), SAME),
    "another way": ("conv2d", ((2, 8, 8, 3), (3, 3, 3, 16), (2, 8, 8, 16)), 4, (("winograd", True),), SAME),
    "another limit": ("conv2d", ((2, 8, 8, 3), (3, 3, 3, 16), (2, 8, 8, 16)), 4, (("sum", 128),), SAME),
    "batch_norm": ("batch_norm", ((32, 16),), 4, (), None),
    "linear": ("linear", ((64, 48), (96, 48)), 4, (), None),
    "matmul": ("matmul", ((64, 48), (48, 96)), 4, (), None),
}
FOLLOWING = {
    "conv2d": ["conv2d_dw", "conv2d_dx"], "conv2d_dx": ["conv2d_dw", "conv2d"], "another way": ["conv2d"],
    "batch_norm": ["batch_norm_dx"], "linear": ["matmul", "matmul", "column_sums"],
}  # fmt: skip


@pytest.mark.parametrize("plan", PLANS)
def test_what_follows_a_plan_are_calls_that_kernels_take(plan):
    made = list(small_step.following(*PLANS[plan]))
    assert [op for op, *_ in made] == FOLLOWING.get(plan, [])
    for op, choices, arguments in made:
        with cpu.forced(**dict(choices)):
            getattr(cpu, op)(*arguments)


def test_what_most_steps_need_are_calls_that_kernels_take():
    made = list(small_step.calls())
    assert {"relu_dx", "max_pool2d_dx", "cross_entropy", "sgd_many", "adam_many"} < {op for op, *_ in made}
    for op, choices, arguments in made:
        with cpu.forced(**dict(choices)):
            getattr(cpu, op)(*arguments)


def _double(t, threads, x):
    for i in range(len(x) * t // threads, len(x) * (t + 1) // threads):
        x[i] *= 2


@pytest.fixture
def made(monkeypatch):
    """A kernel as the second process has it, and what is compiled of it."""
    dispatchers, kept = [], jit.kept
    monkeypatch.setattr(jit, "kept", lambda f, **options: dispatchers.append(kept(f, **options)) or dispatchers[-1])
    monkeypatch.setattr(jit, "_ONLY_COMPILE", [])
    jit.only_compile()
    return jit.kernel(_double), dispatchers


def test_it_compiles_and_does_not_run(made):
    double, (dispatchers) = made
    x = np.ones(8)
    double(1, x)
    double(1, x.astype("float32"))
    np.testing.assert_array_equal(x, 1)
    assert len(dispatchers[0].signatures) == 2


@WITHOUT_LOCKS
def test_it_does_not_wait_for_a_function_that_is_being_compiled(made, monkeypatch, tmp_path):
    double, dispatchers = made
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    monkeypatch.setattr(cache, "patient", False)
    monkeypatch.setattr(cache.Turn, "take", lambda self, patience: patience == 0)
    double(1, np.ones(8))
    assert not dispatchers[0].signatures


def test_matrix_products_by_blas_are_not_run(monkeypatch):
    ran = []
    monkeypatch.setattr(cpu, "matmul", lambda *arguments: ran.append(arguments))
    for wanted in ((("tiles", False),), (("tiles", True),)):
        small_step.compile_for("matmul", wanted, (np.ones((64, 64)), np.ones((64, 64)), np.ones((64, 64))))
    assert len(ran) == 1


def test_plans_are_told_once_and_nobody_need_listen(monkeypatch):
    """Before there is a second process, and after it has ended; of more than it could read, none waits."""
    monkeypatch.setattr(ahead, "_plans", deque(maxlen=4))
    monkeypatch.setattr(ahead, "_process", [])
    for size in range(6):
        cpu.plan.decide("batch_norm", ((12345 + size, 3),), 4)
        cpu.plan.decide("batch_norm", ((12345 + size, 3),), 4)
    assert [plan[1][0][0] for plan in ahead._plans] == [12347, 12348, 12349, 12350]

    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb") as end:
        if hasattr(os, "set_blocking"):
            os.set_blocking(writer, False)
        monkeypatch.setattr(ahead, "_process", [SimpleNamespace(stdin=end)])
        ahead.tell("the fifth")
        assert [pickle.load(pipe)[-1] for _ in range(4)] == [None, None, None, "the fifth"]
        for _ in range(5000 if hasattr(os, "set_blocking") else 0):
            ahead.tell("more than fits", 200 * "x")
        pipe.close()
        ahead.tell("after the end")
    assert not ahead._plans


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
    monkeypatch.setattr(ahead, "_process", [])
    if kind:
        NOBODY[kind](monkeypatch)
    with open(os.devnull, "wb") as pipe:
        monkeypatch.setattr(ahead.subprocess, "Popen", lambda c, **k: started.append(c) or SimpleNamespace(stdin=pipe))
        monkeypatch.setattr(ahead.atexit, "register", lambda *arguments: None)
        ahead.begin.__wrapped__(tmp_path)
    assert len(started) == (kind is None)


def test_a_process_that_cannot_be_started_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv(ahead.SWITCH, "1")
    monkeypatch.setattr(ahead, "_cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    ahead.begin.__wrapped__(tmp_path)
