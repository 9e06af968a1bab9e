"""The CUDA kernels without a GPU: Numba's simulator runs them, conformance judges. One process does all the checks.

This proves index arithmetic, tails, barriers that all threads reach and that none is missing, and orders of summation.
It proves nothing about races within a warp or between blocks, nor about speed. A case of each kernel is looked at every
time; the others, and that planted faults are noticed, by the tests marked `slow`.
"""

from functools import cache

import pytest

from tests.kernels.cuda.once import simulated, simulated_titles

pytestmark = pytest.mark.cudasim


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the checks of a program, or the faults planted in it, told, by their titles."""
    return cache(lambda name, what: simulated(tmp_path_factory, name, what))


@pytest.mark.parametrize(("name", "what", "title"), simulated_titles("simulated", "simulated_norm"))
def test_simulated(told, name, what, title):
    assert told(name, what)[title] == []
