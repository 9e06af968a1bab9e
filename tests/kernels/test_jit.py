"""Shares of a kernel: each is run once, whatever the number of threads, by code that is compiled once."""

import ast
import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType

import numpy as np
import pytest
from numba.core.errors import TypingError
from tinyres_kernels import guard
from tinyres_kernels.cpu import jit, loops, pool
from tinyres_kernels.cpu.fast import winograd_loops


@jit.inlined
def twice(x, i):
    return 2 * x[i]


@jit.compiled
def plus(x, y):
    return x + y


def _note(t, threads, ran, x, out, sizes, factor, negative):
    """How often t ran; out = +-(2 x + sizes[0]) factor in its share."""
    ran[t, 0] += 1
    ran[t, 1] = threads
    for i in range(len(x) * t // threads, len(x) * (t + 1) // threads):
        value = plus(twice(x, i), sizes[0]) * factor
        out[i] = -value if negative else value


note = jit.kernel(_note)


def noted(threads, dtype="float64", size=1000, note=note):
    x, ran = np.arange(size, dtype=dtype), np.zeros((threads, 2), np.int64)
    out = np.full_like(x, np.nan)
    note(threads, ran, x, out, (3, 4.5), x.dtype.type(0.5), True)
    np.testing.assert_array_equal(out, -(2 * x + 3) * 0.5)
    return ran.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_each_share_runs_once(threads, dtype):
    assert noted(threads, dtype) == [[1, threads]] * threads


def test_it_is_compiled_once_for_all_numbers_of_threads(monkeypatch):
    made, kept = [], jit.kept
    monkeypatch.setattr(jit, "kept", lambda function, **options: made.append(kept(function, **options)) or made[-1])
    again = jit.kernel(_note)
    for threads in (1, 2, 5):
        noted(threads, note=again)
    (start,) = made
    assert len(start.signatures) == 1


@jit.compiled
def first_of(x):
    return x[0]


def _firsts(t, threads, x, out):
    for i in range(len(x) * t // threads, len(x) * (t + 1) // threads):
        out[i] = first_of(x[i:])


def test_its_code_counts_no_references(monkeypatch):
    """Threads that count the references to one array, as that of a slice, wait for each other."""
    made, kept = [], jit.kept
    monkeypatch.setattr(jit, "keep", lambda made, function: None)  # of code from the disk nothing can be seen
    monkeypatch.setattr(jit, "kept", lambda function, **options: made.append(kept(function, **options)) or made[-1])
    x, out = np.arange(10.0), np.empty(10)
    jit.kernel(_firsts)(2, x, out)
    np.testing.assert_array_equal(out, x)
    (start,) = made
    (code,) = start.inspect_llvm().values()
    assert "first_of" in code
    assert "NRT_incref" not in code


def test_without_sources_it_finds_the_same(monkeypatch):
    """As in an installation of compiled files alone."""
    monkeypatch.setattr(jit.linecache, "getlines", lambda *file: [])
    for threads in (1, 3):
        assert noted(threads, note=jit.kernel(_note)) == [[1, threads]] * threads


def test_sources_are_taken_to_their_end():
    functions = [f for module in (jit, loops, pool, winograd_loops) for f in vars(module).values()]
    shares = [inspect.getclosurevars(f).nonlocals.get("function", f) for f in functions if isinstance(f, FunctionType)]
    assert loops.dot in functions
    for function in (_note, noted, *shares):
        (ours,), (pythons,) = (ast.parse(text).body for text in (jit._text(function), inspect.getsource(function)))
        assert ast.dump(ours) == ast.dump(pythons), function


def test_numba_can_be_told_not_to_compile():
    """It is asked when it is imported, so this is a process of its own."""
    code = "from tests.kernels import test_jit\nprint(test_jit.noted(3), hasattr(test_jit.twice, 'py_func'))"
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ran.stdout == "[[1, 3], [1, 3], [1, 3]] False\n", ran.stderr


def test_python_threads_may_call_it_at_the_same_time():
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(noted, [2] * 40)) == [[[1, 2], [1, 2]]] * 40


def test_a_number_of_threads_of_another_type_is_refused():
    with pytest.raises(TypingError, match="a kernel's number of threads must be an int, got int32"):
        noted(np.int32(2))


@pytest.mark.skipif(not guard.possible(), reason="this system cannot protect memory")
def test_guard_mode_is_told_its_name():
    told = []
    with guard.guarding("end", told.append):
        assert noted(2) == [[1, 2]] * 2
    assert told == ["_note"]
