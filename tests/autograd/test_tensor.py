"""Tensors as values: copies, leaves, what may be rebound and what is refused."""

import copy

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres.autograd.tensor import Tensor


def test_data_can_be_rebound_in_a_leaf_only():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="exp: only a leaf's data can be replaced"):
        tr.exp(x).data = np.ones(3)
    old = x.node
    x.data = np.ones(3)
    assert x.node is old  # the same leaf
    x.data = np.ones(5)
    assert x.node is not old
    (g,) = tr.grad((x * x).sum(), x)
    assert g.shape == (5,)


def test_what_looks_like_writing_in_place_is_refused():
    x = leaf(3)
    with pytest.raises(TypeError, match=r"`-=` would bind the name to a new tensor .* use tinyres.optim"):
        x -= 1.0
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 1.0
    with pytest.raises(TypeError, match="data: needs an array, got list"):
        x.data = [1.0, 2.0]
    x.data = tr.tensor(np.zeros(3))
    assert isinstance(x.data, np.ndarray)
    total = x.sum()
    total += x.sum()  # what was computed may be added up
    np.testing.assert_array_equal(tr.grad(total, x)[0].numpy(), [2, 2, 2])


def test_a_numpy_scalar_promotes_no_more_than_a_python_number():
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    assert (np.float64(2) * x).dtype == np.float32
    assert (x / np.float64(2)).dtype == np.float32
    assert f"{x.sum():.2f}" == "3.00"


def test_requires_grad_of_what_was_computed_cannot_be_taken_back():
    x = leaf(3)
    with pytest.raises(RuntimeError, match="only a leaf can stop requiring a gradient"):
        tr.exp(x).requires_grad_(False)
    y = x * 2.0
    assert x.requires_grad_() is x  # asking twice does not cut the graph
    np.testing.assert_array_equal(tr.grad(y.sum(), x)[0].numpy(), [2, 2, 2])
    assert not x.requires_grad_(False).requires_grad


def test_a_tensor_is_a_copy():
    source = np.ones(3)
    x = tr.tensor(source)
    source[0] = 7
    assert x.numpy()[0] == 1


def test_a_copy_is_a_leaf_of_its_own():
    w = leaf(3)
    v = copy.deepcopy(w)
    (v * v).sum().backward()
    assert w.grad is None
    np.testing.assert_allclose(v.grad.numpy(), 2 * w.data)
    with pytest.raises(RuntimeError, match="only leaves can be copied"):
        copy.deepcopy(w * 2.0)


def test_an_array_on_the_left_reaches_the_tensor():
    x = leaf(3)
    y = np.ones(3) * x
    assert isinstance(y, Tensor)
    assert y.requires_grad


def test_numpy_cannot_take_a_tracked_array_silently():
    with pytest.raises(RuntimeError, match=r"use .detach\(\).numpy\(\)"):
        np.asarray(leaf(3))
    with pytest.raises(ValueError, match="read-only"):
        leaf(3).numpy()[0] = 1
    with pytest.raises(TypeError, match="a tensor is a value"):
        tr.ones(3)[0] = 1.0


def test_integer_tensors_cannot_require_a_gradient():
    with pytest.raises(TypeError, match=r"dtype int64 cannot require a gradient.*astype\('float32'\)"):
        tr.tensor([1, 2], requires_grad=True)


def test_only_one_element_is_true_or_false():
    assert tr.tensor([[2.0]])
    assert not tr.tensor(0.0)
    for shape in ((2, 3), (0,)):
        with pytest.raises(
            ValueError, match=r"bool: a tensor of shape .* is neither true nor false; .*\.numpy\(\)\.any"
        ):
            bool(tr.tensor(np.ones(shape)))


def test_requires_grad_can_be_assigned():
    x = tr.tensor([1.0, 2.0])
    x.requires_grad = True
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4]
    y = x * 2
    x.requires_grad = False
    assert not (x * 2).requires_grad
    assert x.grad is not None
    with pytest.raises(RuntimeError, match="only a leaf can stop"):
        y.requires_grad = False
    with pytest.raises(TypeError, match="only floating dtypes"):
        tr.tensor([1]).requires_grad = True
