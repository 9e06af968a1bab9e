"""Loops over lines of numbers are compiled to vector instructions."""

import inspect
import re

import numba
import numpy as np
import pytest
from tinyres_kernels.cpu import elementwise, update

OFF, RATES = (False, False), (0.5,) * 9
CASES = {
    "add": (elementwise._add, 3, ()),
    "relu": (elementwise._relu, 2, (0.0, False)),
    "leaky relu": (elementwise._relu, 2, (0.25, True)),
    "relu_dx": (elementwise._relu_dx, 3, (0.0, False)),
    "leaky relu_dx": (elementwise._relu_dx, 3, (0.25, True)),
    "sgd": (update._sgd, 5, (RATES[:4], True, *OFF)),
    "adam": (update._adam, 7, (RATES, False)),
    "rmsprop": (update._rmsprop, 5, (RATES[:5], False)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_a_loop_over_lines_is_made_of_vectors(name, dtype):
    """Where LLVM cannot rule out a negative index, it takes number by number, or gathers them: 4 to 28 times as slow.
    Once more compiled, for Numba shows no code that comes from its cache."""
    kernel, count, settings = CASES[name]
    start = inspect.getclosurevars(kernel).nonlocals["start"]
    again = numba.njit(error_model="numpy")(start.py_func)
    lines = [np.ones(40, dtype) for _ in range(count)]
    again(0, 0, 1, *lines, *(np.dtype(dtype).type(s) if isinstance(s, float) else s for s in settings))
    (code,) = again.inspect_llvm().values()
    element = {"float32": "float", "float64": "double"}[dtype]
    assert re.search(rf"load <\d+ x {element}>", code)
    assert re.search(rf"store <\d+ x {element}>", code)
    assert "masked.gather" not in code
    assert "masked.scatter" not in code
