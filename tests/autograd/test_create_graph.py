"""Passes that are recorded, kept or cut short: create_graph, retain_graph, cotangents, gradients inside no_grad."""

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres.autograd.calling import define


def test_create_graph_records_even_inside_no_grad():
    x = leaf(3)
    y = (x * x * x).sum()
    with tr.no_grad():
        (g,) = tr.grad(y, x, create_graph=True)
    assert g.requires_grad
    (gg,) = tr.grad(g.sum(), x)
    np.testing.assert_allclose(gg.numpy(), 6 * x.data)


def test_create_graph_may_still_free_what_it_used():
    x = leaf(3)
    y = tr.exp(x).sum()
    tr.grad(y, x, create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        tr.grad(y, x)


def test_backward_can_retain_and_can_be_differentiated():
    x = leaf(3)
    y = tr.exp(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(x.data))
    x.grad = None
    (x * x * x).sum().backward(create_graph=True)
    (gg,) = tr.grad(x.grad.sum(), x)
    np.testing.assert_allclose(gg.numpy(), 6 * x.data)


def test_constants_and_tensors_meet_in_one_sum():
    x = leaf(3)
    y = ((x * x) + x) + x  # under create_graph two raw contributions are added up before a tensor joins them
    (g,) = tr.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.detach().numpy(), 2 * x.data + 2)
    (gg,) = tr.grad(g.sum(), x)
    np.testing.assert_allclose(gg.numpy(), [2, 2, 2])


def test_a_cotangent_that_requires_a_gradient():
    x, u = leaf(3), leaf(3, seed=1)
    (plain,) = tr.grad(tr.exp(x), x, u)
    assert not plain.requires_grad
    (g,) = tr.grad(tr.exp(x), x, u, create_graph=True)
    gu, gx = tr.grad(g.sum(), [u, x])
    np.testing.assert_allclose(gu.numpy(), np.exp(x.data))
    np.testing.assert_allclose(gx.numpy(), u.data * np.exp(x.data))


def test_a_cotangent_takes_the_dtype_of_its_output():
    x = tr.tensor([1.0, 2.0], requires_grad=True)
    (g,) = tr.grad(x, x, np.array([0.1, 0.2]))
    assert g.dtype == np.float32


def test_an_input_is_not_run_when_nothing_below_it_is_wanted():
    x = leaf(3)
    h = tr.exp(x)
    tr.grad(h.sum(), x)
    np.testing.assert_array_equal(tr.grad((h * 2.0).sum(), h)[0].numpy(), [2, 2, 2])


def test_what_is_no_longer_floating_has_no_gradient():
    assert not leaf(2).astype("int64").requires_grad
    assert not leaf(2).astype("bool").requires_grad
    assert leaf(2).astype("float32").requires_grad


def test_only_an_operation_that_broadcasts_may_be_summed_back():
    def double(x):
        return 2 * x

    wrong = define(double)
    wrong.vjp(x=lambda g: tr.expand(g, 2, 3))  # could be reduced to (3,), but nothing was broadcast
    x = leaf(3)
    with pytest.raises(RuntimeError, match=r"double: the rule for argument 0 returned a cotangent of shape \(2, 3\)"):
        tr.grad(wrong(x), x, np.ones(3))
