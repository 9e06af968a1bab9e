"""What grows with depth grows linearly: events in time, bytes in memory."""

import tracemalloc

import numpy as np
import pytest

import tinyres as tr


def chain(depth):
    x = tr.tensor(np.ones(1000), requires_grad=True)
    y = x
    for _ in range(depth):
        y = tr.tanh(y)
    return x, y.sum()


def test_the_number_of_steps_is_the_number_of_operations():
    for depth in (10, 1000):
        _, y = chain(depth)
        assert sum(event.kind == "rule" for event in tr.steps(y)) == depth + 1


def test_memory_is_linear_in_depth():
    bytes_at = {}
    chain(1)  # what is compiled once is not counted
    for depth in (1000, 2000, 8000):
        tracemalloc.start()
        x, y = chain(depth)
        tr.grad(y, x)
        _, bytes_at[depth] = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert bytes_at[2000] / bytes_at[1000] == pytest.approx(2, rel=0.05)
    assert bytes_at[8000] / bytes_at[1000] == pytest.approx(8, rel=0.05)


def test_an_operation_costs_little_more_than_its_saved_array():
    depth = 1000
    chain(1)
    tracemalloc.start()
    graph = chain(depth)
    held, _ = tracemalloc.get_traced_memory()
    del graph
    tracemalloc.stop()
    assert held / depth < 1000 * 8 + 600  # the array of 1000 numbers, and its node
