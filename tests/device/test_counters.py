"""Counters of blocks: which launches share them, and that they are 0 whenever a launch begins."""

from threading import Thread

import numpy as np
import pytest

from tests.device import double as stand_in
from tests.device.graphs import Stream, capturing

found = pytest.importorskip("tinyres_kernels.cuda.counters", reason="NO NUMBA.CUDA", exc_type=ImportError)


class Nothing:
    def launch(self):
        raise AssertionError("no kernel is launched here")


@pytest.fixture
def cupy(double, monkeypatch):
    monkeypatch.setattr(found, "_kept", {})
    with capturing(double, (Nothing, "launch")):
        yield double


def test_launches_of_one_stream_share_a_line_and_others_have_their_own(cupy):
    x = cupy.ones(3)
    first = found.counters(x, 5)
    assert first.dtype == np.uint32
    assert first.size == found.LEAST
    assert found.counters(x, found.LEAST) is first
    with Stream(non_blocking=True):
        assert found.counters(x, 5) is not first
    there = []
    thread = Thread(target=lambda: there.append(found.counters(x, 5)))
    thread.start()
    thread.join()
    assert there[0] is not first


def test_more_blocks_than_a_line_has_counters_get_a_longer_one_and_the_first_is_kept(cupy):
    """A graph may have been captured with it."""
    x = cupy.ones(3)
    first, longer = found.counters(x, 1), found.counters(x, found.LEAST + 1)
    assert longer.size == 2 * found.LEAST
    assert found.counters(x, 1) is first


def test_while_a_stream_captures_its_counters_are_zero_at_once_and_no_launch_of_its_graph_sets_them(cupy):
    """A capture that fails, and a graph that is never launched, leave them as the next launch needs them."""
    x, stream = cupy.ones(3), Stream(non_blocking=True)
    with stream:
        stream.begin_capture(0)
        line = found.counters(x, 5)
        assert not stand_in.down(line).any()
        graph = stream.end_capture()
        assert found.counters(x, 5) is line
    assert graph.todo == []
