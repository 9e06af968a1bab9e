"""Recurrent nets over sequences: what they are beside PyTorch's numbers, and what a wrong input is told."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def draws(*shape, seed=0):
    return tr.tensor(np.random.default_rng(seed).normal(size=shape).astype("f"))


@pytest.mark.parametrize(("net", "cell"), [(nn.RNN, nn.RNNCell), (nn.GRU, nn.GRUCell), (nn.LSTM, nn.LSTMCell)])
def test_a_layer_is_its_cell_step_by_step(net, cell):
    net, cell, x = net(3, 4, rng=0), cell(3, 4, rng=1), draws(6, 2, 3)
    cell.load_state_dict({key: net.state_dict()[f"{key}_l0"] for key in cell.state_dict()})
    outputs, last = net(x)
    state = None
    for step, output in zip(x, outputs, strict=True):
        state = cell(step, state)
        h = state[0] if isinstance(state, tuple) else state
        np.testing.assert_allclose(h.numpy(), output.numpy(), rtol=1e-5, atol=1e-6)
    last = last[0] if isinstance(last, tuple) else last
    np.testing.assert_array_equal(last[0].numpy(), outputs[-1].numpy())


def test_the_other_direction_reads_from_the_end():
    net = nn.GRU(3, 4, bidirectional=True, rng=0)
    forwards, backwards = nn.GRU(3, 4, rng=1), nn.GRU(3, 4, rng=1)
    state = net.state_dict()
    forwards.load_state_dict({k: v for k, v in state.items() if not k.endswith("reverse")})
    backwards.load_state_dict({k.removesuffix("_reverse"): v for k, v in state.items() if k.endswith("reverse")})
    x = draws(5, 2, 3)
    y, last = net(x)
    np.testing.assert_allclose(y[..., :4].numpy(), forwards(x)[0].numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[..., 4:].numpy(), backwards(x[::-1])[0].numpy()[::-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last[1].numpy(), y[0, :, 4:].numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_is_between_layers_and_in_training_alone():
    net, x = nn.LSTM(3, 8, 2, dropout=0.5, rng=0), draws(4, 2, 3)
    first, second = net(x)[0].numpy(), net(x)[0].numpy()
    assert (first != second).any()
    assert (first != 0).all(), "the last layer's outputs are not dropped"
    net.eval()
    np.testing.assert_array_equal(net(x)[0].numpy(), net(x)[0].numpy())
    single = nn.LSTM(3, 8, 1, dropout=0.5, rng=0)
    np.testing.assert_array_equal(single(x)[0].numpy(), single(x)[0].numpy())


def test_a_checkpointed_net_has_the_same_gradients():
    found = []
    for run in (lambda net, x: net(x)[0], lambda net, x: tr.checkpoint(lambda x: net(x)[0], x)):
        net = nn.GRU(3, 8, 2, dropout=0.3, rng=0)
        (run(net, draws(4, 2, 3)) ** 2).sum().backward()
        found.append([p.grad.numpy() for p in net.parameters()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_float64_stays_and_float32_stays():
    for dtype in ("float32", "float64"):
        net = nn.LSTM(3, 4, bidirectional=True, rng=0).to(dtype)
        x = draws(4, 2, 3).astype(dtype)
        outputs, (h, c) = net(x)
        assert {outputs.dtype, h.dtype, c.dtype} == {np.dtype(dtype)}


def test_long_sequences_cost_no_more_a_step():
    """Memory that the backward pass allocates grows with the steps, not with their square: slices are cut by halves."""
    sizes = []

    class Sums(tr.Observer):
        def on_edge(self, consumer, index, producer, contribution):
            sizes[-1] += contribution.size

    for steps in (32, 128):
        net, x = nn.GRU(2, 3, rng=0), draws(steps, 1, 2).requires_grad_()
        sizes.append(0)
        loss = net(x)[0].sum()
        with Sums():
            tr.grad(loss, [x])
    assert sizes[1] < 1.5 * 4 * sizes[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nn.LSTM(3, 4)(draws(5, 2, 4)),
            r"LSTM\(3, 4\): x must have shape \(L, N, 3\) or \(L, 3\), .*\(5, 2, 4\)",
        ),
        (lambda: nn.GRU(3, 4, batch_first=True)(draws(2, 0, 3)), r"\(N, L, 3\) or \(L, 3\), with at least one step"),
        (lambda: nn.GRU(3, 4)(draws(5, 2, 3), draws(2, 4)), r"h must have shape \(1, 2, 4\), got \(2, 4\)"),
        (lambda: nn.LSTM(3, 4)(draws(5, 3), (draws(1, 4), draws(1, 3))), r"c must have shape \(1, 4\), got \(1, 3\)"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), "RNN: nonlinearity must be one of"),
        (lambda: nn.GRU(3, 4, 0), "GRU: num_layers must be a whole number of at least 1"),
        (lambda: nn.GRU(3, 4, dropout=2.0), "GRU: dropout must be a number from 0 to 1"),
        (lambda: nn.GRUCell(3, 4)(draws(2, 4)), r"GRUCell\(3, 4\): x must have shape \(..., 3\), got \(2, 4\)"),
    ],
)
def test_what_a_wrong_call_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_table_of_a_net_with_a_recurrent_layer():
    class Net(nn.Module):
        def __init__(self):
            self.rnn, self.head = nn.GRU(3, 4, rng=0), nn.Linear(4, 2, rng=0)

        def forward(self, x):
            return self.head(self.rnn(x)[0][-1])

    text = str(nn.summary(Net(), (5, 2, 3)))
    assert "rnn: GRU" in text
    assert str(sum(p.size for p in Net().parameters())) in text
