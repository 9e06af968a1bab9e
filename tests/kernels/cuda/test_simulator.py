"""The CUDA kernels without a GPU: Numba's simulator runs them, conformance judges. One process does all the checks.

This proves index arithmetic, tails, barriers that all threads reach and that none is missing, and orders of summation.
It proves nothing about races within a warp or between blocks, nor about speed.
"""

import pytest

from tests.kernels.cuda.once import program, simulated

PROGRAMS = "simulated", "simulated_norm"
NAMES = [(name, title) for name in PROGRAMS for title in program(name).NAMES]
pytestmark = [pytest.mark.cudasim, pytest.mark.slow]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What each check found, by its program and its name."""
    return {(name, title): faults for name in PROGRAMS for title, faults in simulated(tmp_path_factory, name).items()}


@pytest.mark.parametrize(("name", "title"), NAMES)
def test_simulated(told, name, title):
    assert told[name, title] == []
