"""Cells and embeddings against PyTorch in float64: values, gradients, and what they start from."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
TOL = {"rtol": 1e-10, "atol": 1e-10}


def both(ours, theirs):
    theirs = theirs.double()
    ours.to("float64").load_state_dict(theirs.state_dict())
    return ours, theirs


def through_time(lib, cell, xs, states, g):
    """The last state, its gradient by the inputs, the first state and all parameters."""
    leaf = (lambda a: tr.tensor(a, requires_grad=True)) if lib is tr else lambda a: torch.tensor(a, requires_grad=True)
    xs, first = [leaf(x) for x in xs], [leaf(s) for s in states]
    grad = tr.grad if lib is tr else torch.autograd.grad
    inputs = [*xs, *first, *cell.parameters()]
    state = first[0] if len(first) == 1 else tuple(first)
    for x in xs:
        state = cell(x, state)
    out = [state] if len(first) == 1 else list(state)
    cotangents = [tr.tensor(a) if lib is tr else torch.tensor(a) for a in g]
    loss = sum((y * c).sum() for y, c in zip(out, cotangents, strict=True))
    return [v.detach().numpy() for v in [*out, *grad(loss, inputs)]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "settings"), [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {})]
)
def test_five_steps_and_back(name, settings, bias):
    rng = np.random.default_rng(0)
    ours, theirs = both(getattr(nn, name)(3, 4, bias, **settings), getattr(torch.nn, name)(3, 4, bias, **settings))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    states = 2 if name == "LSTMCell" else 1
    xs, first, g = rng.normal(size=(5, 2, 3)), rng.normal(size=(states, 2, 4)), rng.normal(size=(states, 2, 4))
    pairs = zip(through_time(tr, ours, xs, first, g), through_time(torch, theirs, xs, first, g), strict=True)
    for mine, other in pairs:
        np.testing.assert_allclose(mine, other, **TOL)


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell"])
def test_one_sample_without_a_state(name):
    ours, theirs = both(getattr(nn, name)(3, 4), getattr(torch.nn, name)(3, 4))
    x = np.random.default_rng(0).normal(size=3)
    mine, other = ours(tr.tensor(x)), theirs(torch.tensor(x))
    mine, other = (mine, other) if name == "LSTMCell" else ((mine,), (other,))
    for a, b in zip(mine, other, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), **TOL)


@pytest.mark.parametrize("padding", [None, 2, -1])
def test_embedding(padding):
    ours, theirs = both(nn.Embedding(5, 3, padding), torch.nn.Embedding(5, 3, padding))
    index = np.array([[4, 2, 2], [0, 4, 4]])
    g = np.random.default_rng(0).normal(size=(2, 3, 3))
    y, z = ours(index), theirs(torch.tensor(index))
    np.testing.assert_array_equal(y.detach().numpy(), z.detach().numpy())
    (mine,), (other,) = tr.grad(y, [ours.weight], g), torch.autograd.grad(z, [theirs.weight], torch.tensor(g))
    np.testing.assert_allclose(mine.numpy(), other.numpy(), **TOL)
    assert repr(nn.Embedding(5, 3, padding)) == repr(torch.nn.Embedding(5, 3, padding))


def test_default_initialisation_has_the_same_range():
    torch.manual_seed(0)
    for ours, theirs in [
        (nn.RNNCell(40, 50, rng=0), torch.nn.RNNCell(40, 50)),
        (nn.LSTMCell(40, 50, rng=0), torch.nn.LSTMCell(40, 50)),
    ]:
        for key, value in theirs.state_dict().items():
            mine = ours.state_dict()[key].numpy()
            assert mine.shape == tuple(value.shape)
            assert abs(mine).max() == pytest.approx(float(value.abs().max()), rel=0.1)
