"""Shares of a kernel: each is run once, whatever the number of threads, by code that is compiled once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba.core.errors import TypingError
from tinyres_kernels import guard
from tinyres_kernels.cpu import jit


@jit.inlined
def twice(x, i):
    return 2 * x[i]


@jit.compiled
def plus(x, y):
    return x + y


@jit.kernel
def note(t, threads, ran, x, out, sizes, factor, negative):
    """How often t ran; out = +-(2 x + sizes[0]) factor in its share."""
    ran[t, 0] += 1
    ran[t, 1] = threads
    for i in range(len(x) * t // threads, len(x) * (t + 1) // threads):
        value = plus(twice(x, i), sizes[0]) * factor
        out[i] = -value if negative else value


def noted(threads, dtype="float64", size=1000):
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
    monkeypatch.setattr(jit, "kept", lambda *a, **k: made.append(kept(*a, **k)) or made[-1])
    monkeypatch.setitem(globals(), "note", jit.kernel(_share))
    for threads in (1, 2, 5):
        noted(threads)
    (start,) = [each for each in made if each.py_func.__name__.startswith("_share")]
    assert len(start.signatures) == 1


def _share(t, threads, ran, x, out, sizes, factor, negative):
    ran[t, 0] += 1
    ran[t, 1] = threads
    for i in range(len(x) * t // threads, len(x) * (t + 1) // threads):
        out[i] = (2 * x[i] + sizes[0]) * (-factor if negative else factor)


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
    assert told == ["note"]
