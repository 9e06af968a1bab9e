"""Sizes of 0, NaN in a gradient, and numbers too small to be taken from 1: what comes out is chosen, not met with."""

import math

import numpy as np
import pytest

import tinyres as tr

RUNGS = pytest.mark.parametrize("rung", ["reference", "im2col", "cpu"])


def leaf(values, dtype="float64"):
    return tr.tensor(np.asarray(values, dtype), requires_grad=True)


# -- sizes of 0: as in PyTorch ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 4)])
@pytest.mark.parametrize("function", [tr.softmax, tr.log_softmax])
def test_a_softmax_of_nothing_is_nothing(function, shape):
    for axis in range(len(shape)):
        x = leaf(np.zeros(shape))
        y = function(x, axis)
        assert y.shape == shape
        assert y._data is not x._data
        assert tr.grad(y.sum(), x)[0].shape == shape


def test_the_logarithm_of_a_sum_of_nothing_is_minus_infinity():
    for axis, shape in ((1, (3,)), (None, ()), ((0, 1), ())):
        x = leaf(np.zeros((3, 0)))
        y = tr.logsumexp(x, axis)
        assert y.shape == shape
        assert np.all(y.detach().numpy() == -np.inf)
        assert tr.grad(y.sum(), x)[0].shape == (3, 0)
    assert tr.logsumexp(leaf(np.zeros((3, 0))), 0).shape == (0,)
    assert tr.logsumexp(leaf(np.zeros((3, 0))), 1, keepdims=True).shape == (3, 1)


def test_an_empty_axis_splits_into_one_empty_piece():
    (piece,) = tr.split(leaf(np.zeros((0, 3))), 2)
    assert piece.shape == (0, 3)
    assert tr.split(leaf(np.zeros((0, 3))), []) == ()
    assert [p.shape for p in tr.split(leaf(np.zeros((0, 3))), [0, 0])] == [(0, 3)] * 2


@RUNGS
def test_a_transposed_convolution_of_an_empty_batch(rung):
    x, w = leaf(np.zeros((0, 2, 4, 4))), leaf(np.ones((2, 3, 3, 3)))
    with tr.kernels(rung):
        for how in ({}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 2, "output_padding": 1}):
            y = tr.conv_transpose2d(x, w, leaf(np.ones(3)), **how)
            assert y.shape[:2] == (0, 3)
            dx, dw = tr.grad(y.sum(), [x, w])
            assert dx.shape == x.shape
            np.testing.assert_array_equal(dw.numpy(), np.zeros(w.shape))


# -- NaN --------------------------------------------------------------------------------------------------------------
def test_all_nans_share_the_gradient_of_a_maximum():
    for function in (tr.max, tr.min):
        x = leaf([[1.0, np.nan, 3.0, np.nan], [1.0, 1.0, 0.0, 2.0]])
        y = function(x, axis=1)
        (g,) = tr.grad(y, x, np.array([4.0, 4.0]), create_graph=True)
        second_row = [0, 0, 0, 4] if function is tr.max else [0, 0, 4, 0]
        assert g.detach().tolist() == [[0, 2, 0, 2], second_row]
    x = leaf([np.nan, 1.0])
    assert tr.grad(tr.max(x), x)[0].tolist() == [1, 0]
    x = leaf([[2.0, 2.0, 1.0]])
    assert tr.grad(tr.max(x, axis=1).sum(), x)[0].tolist() == [[0.5, 0.5, 0]]
    values, indices = tr.max(x, 1)  # with an index, it is clear whose the gradient is
    assert indices.tolist() == [0]
    assert tr.grad(values.sum(), x)[0].tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("function", [tr.maximum, tr.minimum])
def test_beside_a_nan_both_get_all_of_the_gradient(function):
    a, b = leaf([np.nan, 1.0, np.nan, 1.0, 2.0, 3.0]), leaf([1.0, np.nan, np.nan, 1.0, 3.0, 2.0])
    da, db = tr.grad(function(a, b).sum(), [a, b])
    wins = [0, 1] if function is tr.maximum else [1, 0]
    assert da.tolist() == [1, 1, 1, 0.5, *wins]
    assert db.tolist() == [1, 1, 1, 0.5, *wins[::-1]]


@RUNGS
@pytest.mark.parametrize("size", [4, 1 << 16])
def test_a_relu_of_nan_is_nan_and_passes_no_gradient(rung, size):
    values = np.ones(size)
    values[1] = np.nan
    x = leaf(values)
    with tr.kernels(rung):
        y = tr.relu(x)
        (g,) = tr.grad(y, x, np.ones(size))
    assert np.isnan(y.detach().numpy()[1])
    assert g.tolist()[:4] == [1, 0, 1, 1]


@pytest.mark.parity
def test_torch_does_the_same_with_nan_but_for_relu():
    torch = pytest.importorskip("torch", reason="no tests against PyTorch's NaN: torch is missing")
    values = [[np.nan, 1.0, np.nan, 1.0, 2.0, 3.0], [1.0, np.nan, np.nan, 1.0, 3.0, 2.0]]
    for name in ("maximum", "minimum"):
        ours, theirs = [leaf(v) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
        getattr(torch, name)(*theirs).sum().backward()
        for g, t in zip(tr.grad(getattr(tr, name)(*ours).sum(), ours), theirs, strict=True):
            np.testing.assert_array_equal(g.numpy(), t.grad.numpy())
    ours, theirs = leaf(values[0]), torch.tensor(values[0], requires_grad=True)
    theirs.max().backward()
    np.testing.assert_array_equal(tr.grad(tr.max(ours), ours)[0].numpy(), theirs.grad.numpy())
    theirs = torch.tensor([np.nan], requires_grad=True)
    torch.relu(theirs).sum().backward()
    assert theirs.grad.tolist() == [1]  # ours is 0: a unit that is not above 0 passes nothing
    empty = torch.zeros(3, 0)
    assert empty.softmax(1).shape == (3, 0)
    assert torch.logsumexp(empty, 1).tolist() == [-np.inf] * 3
    assert [p.shape for p in torch.split(torch.zeros(0, 3), 2)] == [(0, 3)]


# -- small numbers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("p", [1e-9, 1e-20, 1e-4, 0.3])
def test_a_loss_of_a_probability_that_is_lost_beside_1(p):
    x = leaf([p], "float32")
    loss = tr.binary_cross_entropy(x, np.zeros(1, "f"))
    p = float(np.float32(p))
    assert loss.item() == pytest.approx(-math.log1p(-p), rel=1e-6)
    assert tr.grad(loss, x)[0].item() == pytest.approx(1 / (1 - p), rel=1e-6)


def test_a_certain_mistake_still_costs_100():
    for p, t in ((0.0, 1.0), (1.0, 0.0)):
        x = leaf([p], "float32")
        loss = tr.binary_cross_entropy(x, np.array([t], "f"))
        assert loss.item() == 100
        assert tr.grad(loss, x)[0].item() == 0
