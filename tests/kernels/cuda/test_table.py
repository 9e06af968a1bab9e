"""Many arrays in one launch: the code that Numba makes of a table's builtins, run by the processor."""

from unittest import mock

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.contract import OPERATIONS

host = pytest.importorskip("tinyres_kernels.cuda.host", reason="NO NUMBA.CUDA", exc_type=ImportError)

from tinyres_kernels.cuda import MANY, steps  # noqa: E402

from tests.kernels.cuda.compiled import signature  # noqa: E402
from tests.kernels.cuda.on_host import OnHost  # noqa: E402
from tests.kernels.cuda.simulated_singles import STEPS  # noqa: E402

pytestmark = pytest.mark.skipif(host.SIMULATED, reason="in the simulator nothing is compiled")
SHAPES = [(3,), (0,), (17,), (8, 5), (1,), (1033,), (4, 1024), (2, 3)]


def drawn(shape, real, rng):
    """An array that begins at a multiple of 16 bytes, with a fence behind it."""
    size = int(np.prod(shape))
    memory = np.full(size + 16, -7254.5, real)
    first = -memory.ctypes.data // memory.itemsize % (16 // memory.itemsize)
    memory[first : first + size] = 1 + rng.random(size)
    return memory[first : first + size].reshape(shape), memory[first + size :]


@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("width", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("op", ["sgd", "adam", "rmsprop"])
@pytest.mark.slow
def test_compiled_steps_of_many_parameters_are_those_of_whole_array_operations(op, width, real):
    settings, kept = STEPS[op]
    rng = np.random.default_rng(0)
    rows, expected, fences = [], [], []
    for shape in SHAPES:
        (*read, _), (*written, _) = ([drawn(shape, real, rng) for _ in range(n + 1)] for n in (2 + kept, 1 + kept))
        rows.append([array for array, _ in (*read, *written)])
        fences += [fence for _, fence in written]
        same = [np.empty_like(array) for array, _ in written]
        getattr(im2col, op)(*(array for array, _ in read), *same, **settings)
        expected += same
    launches = []

    def launch(kernel, grid, block, *arguments):
        launches.append(grid)
        types = signature(host.MADE[kernel.py_func.__name__].arguments, real)
        OnHost(kernel, types).run(grid, block, arguments)

    with (
        mock.patch.object(steps, "launch", launch),
        mock.patch.object(steps, "wide", return_value=width),
        mock.patch.object(steps, "addresses", lambda arrays: [a.ctypes.data for a in arrays]),
    ):
        MANY[op].launch(rows, OPERATIONS[op].settings(**settings))
    assert len(launches) == 1
    found = [array for row in rows for array in row[2 + kept :]]
    for got, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, right, rtol=20 * np.finfo(real).eps)
    assert all((fence == -7254.5).all() for fence in fences)
