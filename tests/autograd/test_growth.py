"""What grows with depth grows linearly: events in time, bytes in memory."""

import gc
import tracemalloc

import numpy as np
import pytest

import tinyres as tr
from tinyres.autograd.calling import define
from tinyres.ops.indexing import getitem_


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


def test_slices_of_one_tensor_make_one_array_of_zeros():
    gc.collect()  # hooks that an earlier test left behind would take the shortcut away
    made = []
    rule = getitem_.primitive.rules["x"]
    slices = define(getitem_.primitive.forward)
    slices.vjp(x=lambda g, x_shape, key: made.append(key) or rule(g, x_shape, key))
    slices.vjp_into(**getitem_.primitive.into)
    x = tr.tensor(np.ones((64, 3)), requires_grad=True)
    tr.grad(sum(tr.sum(slices(x, key=i)) for i in range(64)), x)
    assert made == [63]  # the last slice's, whose rule runs first


KEYS = [2, (slice(1, 4), 0), (slice(None, None, -2),), (..., None, 1), np.array([0, 0, 3]), np.arange(5) % 2 == 0]


@pytest.mark.parametrize("order", [1, 2])
def test_slices_add_up_however_they_overlap(order):
    """What earlier slices have added stays, and so does every array that somebody else holds."""
    rng = np.random.default_rng(0)
    x = tr.tensor(rng.standard_normal((5, 3)), requires_grad=True)
    middle = x * 2.0
    middle.retain_grad()
    parts = [tr.sum(tr.sin(middle[key]) * (k + 1.0)) for k, key in enumerate(KEYS * 2)]
    loss = sum(parts) + tr.sum(middle * middle)
    if order == 1:
        loss.backward()
        found = [x.grad.numpy(), middle.grad.numpy() * 2]
    else:
        found = [tr.grad(loss, x, create_graph=True)[0].numpy()]
    expected = 2 * middle.numpy()
    for k, key in enumerate(KEYS * 2):
        np.add.at(expected, key, np.cos(middle.numpy()[key]) * (k + 1.0))
    for gradient in found:
        np.testing.assert_allclose(gradient, 2 * expected, rtol=1e-12)


def test_a_slice_adds_to_no_array_that_another_holds():
    x, z = (tr.tensor(np.ones(4), requires_grad=True) for _ in range(2))
    part = tr.sum(x[1:3])
    both = x + z  # sends the same array to x and to z, before the slice's turn comes
    to_x, to_z = tr.grad(tr.sum(both * 5.0) + part, [x, z])
    np.testing.assert_array_equal(to_x.numpy(), [5, 6, 6, 5])
    np.testing.assert_array_equal(to_z.numpy(), [5, 5, 5, 5])


@pytest.mark.parametrize("key", [None, ..., (), (None, None)])
def test_a_number_is_cut_like_an_array(key):
    x = tr.tensor(2.0, requires_grad=True)
    parts = tr.sum(x[key]) + tr.sum(x[key] * 5.0)
    (found,) = tr.grad(parts + x * 2.0 + x * 3.0, x)  # two others are added up before the slices' turn comes
    assert found.item() == 11
