"""What holds for all experiments."""

import pytest

import tinyres as tr


@pytest.fixture(autouse=True)
def one_thread():
    """Each of pytest's workers has a core: two threads of one would wait for each other, a quarter of E4's time."""
    before = tr.get_num_threads()
    tr.set_num_threads(1)
    yield
    tr.set_num_threads(before)
