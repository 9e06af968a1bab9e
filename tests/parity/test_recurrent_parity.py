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
    ("name", "settings"), [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {})]
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


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
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
        (nn.GRU(40, 50, 2, bidirectional=True, rng=0), torch.nn.GRU(40, 50, 2, bidirectional=True)),
    ]:
        for key, value in theirs.state_dict().items():
            mine = ours.state_dict()[key].numpy()
            assert mine.shape == tuple(value.shape)
            assert abs(mine).max() == pytest.approx(float(value.abs().max()), rel=0.1)


def flat(result):
    outputs, state = result
    return [outputs, *(state if isinstance(state, tuple) else [state])]


def sequence(lib, net, x, states, draws):
    """Outputs and last states of a sequence, all gradients, and those of a random combination of gradients."""
    leaf = (lambda a: tr.tensor(a, requires_grad=True)) if lib is tr else lambda a: torch.tensor(a, requires_grad=True)
    grad = tr.grad if lib is tr else torch.autograd.grad
    x, states = leaf(x), [leaf(s) for s in states]
    results = flat(net(x, tuple(states) if len(states) == 2 else states[0]) if states else net(x))
    rng, inputs = np.random.default_rng(draws), [x, *states, *net.parameters()]
    first = grad(sum((y * leaf(rng.normal(size=tuple(y.shape)))).sum() for y in results), inputs, create_graph=True)
    mixed = sum((g * leaf(rng.normal(size=tuple(g.shape)))).sum() for g in first)
    return [v.detach().numpy() for v in [*results, *first, *grad(mixed, inputs)]]


NETS = {
    "one layer": {}, "two layers": {"num_layers": 2}, "batch first": {"batch_first": True}, "no bias": {"bias": False},
    "both directions": {"bidirectional": True, "num_layers": 2},
    "both directions, batch first": {"bidirectional": True, "num_layers": 2, "batch_first": True},
}  # fmt: skip


@pytest.mark.parametrize("how", ["batch", "one sequence", "no state", "one step"])
@pytest.mark.parametrize("settings", NETS)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_sequence_and_back_twice(name, settings, how):
    rng, settings = np.random.default_rng(0), NETS[settings]
    ours, theirs = both(getattr(nn, name)(3, 4, **settings), getattr(torch.nn, name)(3, 4, **settings))
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert repr(ours) == repr(theirs)
    layers = settings.get("num_layers", 1) * (2 if settings.get("bidirectional") else 1)
    steps, batch = (1 if how == "one step" else 5), () if how == "one sequence" else (2,)
    shape = (*batch, steps, 3) if settings.get("batch_first") else (steps, *batch, 3)
    states = [] if how == "no state" else rng.normal(size=(2 if name == "LSTM" else 1, layers, *batch, 4))
    x = rng.normal(size=shape)
    for mine, other in zip(sequence(tr, ours, x, states, 1), sequence(torch, theirs, x, states, 1), strict=True):
        np.testing.assert_allclose(mine, other, **TOL)


def test_a_relu_net_over_a_sequence():
    ours, theirs = both(nn.RNN(3, 4, nonlinearity="relu"), torch.nn.RNN(3, 4, nonlinearity="relu"))
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    for mine, other in zip(sequence(tr, ours, x, [], 1), sequence(torch, theirs, x, [], 1), strict=True):
        np.testing.assert_allclose(mine, other, **TOL)
