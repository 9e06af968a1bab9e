"""namespace(): the library is read off the type, and nothing is imported on the way."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from tinyres_kernels.namespace import namespace

KERNELS = Path(__file__).parents[2] / "kernels"


@pytest.fixture
def foreign(monkeypatch):
    """An array of a library called `fakelib`, whose class lives in a submodule, as CuPy's does."""
    library = types.ModuleType("fakelib")
    monkeypatch.setitem(sys.modules, "fakelib", library)
    cls = type("ndarray", (), {"__module__": "fakelib._core.core"})
    return cls(), library


@pytest.mark.parametrize("x", [np.zeros(2), np.float32(1), np.zeros(()).view(np.matrix), True, 2, 2.0, 2j])
def test_numpy_and_scalars_are_numpys(x):
    assert namespace(x) is np
    assert namespace(x, np.zeros(1), 3) is np


def test_a_foreign_array_belongs_to_its_types_top_level_module(foreign):
    array, library = foreign
    assert namespace(array) is library


def test_the_first_array_that_is_not_numpys_decides(foreign, monkeypatch):
    array, library = foreign
    monkeypatch.setitem(sys.modules, "otherlib", types.ModuleType("otherlib"))
    other = type("ndarray", (), {"__module__": "otherlib"})()
    assert namespace(np.zeros(1), 2.0, array, other) is library
    assert namespace(np.zeros(1), other, array) is sys.modules["otherlib"]


@pytest.mark.parametrize("x", [[1.0], None, "x", (1, 2)])
def test_what_is_no_array_is_refused_by_its_type_name(x):
    with pytest.raises(TypeError, match=type(x).__name__):
        namespace(np.zeros(1), x)


def test_importing_the_lowest_rungs_imports_neither_a_compiler_nor_the_library_above():
    code = (
        "import sys, tinyres_kernels.reference, tinyres_kernels.im2col;"
        "assert not {'numba', 'cupy', 'tinyres', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=KERNELS, timeout=60)
