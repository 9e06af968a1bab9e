"""Cells: equations, derivatives, and how far a gradient reaches through time."""

import math

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "linear"])
def test_rnn_equation(nonlinearity):
    cell = nn.RNNCell(3, 4, nonlinearity=nonlinearity, rng=0).to("float64")
    x, h = random(2, 3), random(2, 4, seed=1)
    w = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    z = x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
    phi = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "linear": lambda z: z}[nonlinearity]
    np.testing.assert_allclose(cell(tr.tensor(x), tr.tensor(h)).numpy(), phi(z), rtol=1e-13)


def test_lstm_equation():
    cell = nn.LSTMCell(3, 4, rng=0).to("float64")
    x, h, c = random(2, 3), random(2, 4, seed=1), random(2, 4, seed=2)
    w = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    z = x @ w["weight_ih"].T + w["bias_ih"] + h @ w["weight_hh"].T + w["bias_hh"]
    i, f, g, o = np.split(z, 4, axis=1)
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    got_h, got_c = cell(tr.tensor(x), (tr.tensor(h), tr.tensor(c)))
    np.testing.assert_allclose(got_c.numpy(), new, rtol=1e-13)
    np.testing.assert_allclose(got_h.numpy(), sigmoid(o) * np.tanh(new), rtol=1e-13)


def functional(cell, states):
    """The cell as a function of its input, its state and its parameters."""
    names = [name for name, _ in cell.named_parameters()]

    def run(x, *rest):
        for name, value in zip(names, rest[states:], strict=True):
            object.__setattr__(cell, name, value)
        state = rest[0] if states == 1 else tuple(rest[:states])
        return cell(x, state)

    return run


@pytest.mark.parametrize(
    ("make", "states"),
    [
        (lambda: nn.RNNCell(3, 2, rng=0), 1),
        (lambda: nn.RNNCell(3, 2, bias=False, nonlinearity="linear", rng=0), 1),
        (lambda: nn.RNNCell(3, 2, nonlinearity="relu", rng=0), 1),
        (lambda: nn.LSTMCell(3, 2, rng=0), 2),
        (lambda: nn.LSTMCell(3, 2, bias=False, rng=0), 2),
    ],
    ids=["tanh", "linear", "relu", "lstm", "lstm without bias"],
)
def test_gradcheck(make, states):
    cell = make().to("float64")
    parameters = [p.detach().numpy() for p in cell.parameters()]
    inputs = [random(2, 3), *(random(2, 2, seed=k + 1) for k in range(states)), *parameters]
    tr.gradcheck(functional(cell, states), inputs, order=2, seeds=2)


@pytest.mark.parametrize("lead", [(), (5,), (2, 5)])
def test_leading_axes_and_the_state_that_is_0(lead):
    x = tr.tensor(random(*lead, 3).astype("f"))
    zero = tr.tensor(np.zeros((*lead, 4), "f"))
    rnn, lstm = nn.RNNCell(3, 4, rng=0), nn.LSTMCell(3, 4, rng=0)
    assert rnn(x).shape == (*lead, 4)
    assert rnn(x).dtype == np.float32
    np.testing.assert_array_equal(rnn(x).numpy(), rnn(x, zero).numpy())
    for a, b in zip(lstm(x), lstm(x, (zero, zero)), strict=True):
        assert a.shape == (*lead, 4)
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def memory(cell, inputs):
    """dc_T/dc_0 for every hidden unit: the cotangent 1 at c_T, brought back to c_0."""
    n = cell.hidden_size
    c0 = tr.tensor(random(1, n, seed=5), requires_grad=True)
    h, c = tr.tensor(np.zeros((1, n))), c0
    for x in inputs:
        h, c = cell(tr.tensor(x), (h, c))
    (dc,) = tr.grad(c, [c0], np.ones((1, n)))
    return dc.numpy()[0]


@pytest.mark.parametrize(("bias", "half_life"), [(0.0, 1.0), (1.0, 2.21), (2.0, 5.46), (5.0, 103.0)])
def test_with_weights_at_0_the_memory_halves_as_the_forget_bias_says(bias, half_life):
    cell, steps = nn.LSTMCell(2, 3, forget_bias=bias, rng=0).to("float64"), 100
    for weight in (cell.weight_ih, cell.weight_hh):
        nn.init.zeros_(weight)
    left = memory(cell, [random(1, 2, seed=k) for k in range(steps)])
    np.testing.assert_allclose(left, sigmoid(bias) ** steps, rtol=1e-10)
    assert steps * math.log(0.5) / math.log(left[0]) == pytest.approx(half_life, rel=3e-3)
    if bias in (0.0, 5.0):
        assert left[0] == pytest.approx({0.0: 7.9e-31, 5.0: 0.511}[bias], rel=5e-3)


def test_the_cells_own_path_is_the_product_of_the_forget_gates():
    """Without W_hh no other path leads from c_0 to c_T; the gates themselves follow the input."""
    cell = nn.LSTMCell(2, 3, rng=0).to("float64")
    nn.init.zeros_(cell.weight_hh)
    inputs = [random(1, 2, seed=k) for k in range(50)]
    b = (cell.bias_ih.numpy() + cell.bias_hh.numpy())[3:6]
    gates = [sigmoid(x @ cell.weight_ih.numpy()[3:6].T + b)[0] for x in inputs]
    np.testing.assert_allclose(memory(cell, inputs), np.prod(gates, axis=0), rtol=1e-10)


@pytest.mark.parametrize("radius", [0.9, 1.0, 1.1])
def test_a_linear_cell_with_a_normal_matrix_has_the_spectral_radius_as_its_rate(radius):
    """An orthogonal matrix times the radius: every direction shrinks or grows by radius^T exactly."""
    n, steps = 8, 200
    cell = nn.RNNCell(1, n, bias=False, nonlinearity="linear").to("float64")
    nn.init.orthogonal_(cell.weight_hh, gain=radius, rng=0)
    h0 = tr.tensor(random(1, n), requires_grad=True)
    h, g = h0, random(1, n, seed=1)
    for _ in range(steps):
        h = cell(tr.tensor(np.zeros((1, 1))), h)
    (dh,) = tr.grad(h, [h0], g)
    rate = (np.linalg.norm(dh.numpy()) / np.linalg.norm(g)) ** (1 / steps)
    assert rate == pytest.approx(radius, rel=1e-12)


def test_the_first_values():
    cell = nn.LSTMCell(30, 25, rng=0)
    for p in cell.parameters():
        assert abs(p.numpy()).max() == pytest.approx(0.2, rel=0.05)
        assert abs(p.numpy()).max() <= 0.2
    kept = nn.LSTMCell(30, 25, forget_bias=1.0, rng=0)
    forget = slice(25, 50)
    np.testing.assert_array_equal(kept.bias_ih.numpy()[forget], 1)
    np.testing.assert_array_equal(kept.bias_hh.numpy()[forget], 0)
    for name, p in kept.named_parameters():  # the rest is drawn as without
        same = p.numpy() == dict(cell.named_parameters())[name].numpy()
        assert np.delete(same, forget, axis=0).all() if "bias" in name else same.all()
    assert [name for name, _ in nn.LSTMCell(3, 2, bias=False).named_parameters()] == ["weight_ih", "weight_hh"]


def test_errors():
    with pytest.raises(ValueError, match="nonlinearity must be one of 'tanh', 'relu', 'linear', got 'selu'"):
        nn.RNNCell(3, 4, nonlinearity="selu")
    with pytest.raises(ValueError, match=r"forget_bias=1.0 needs biases"):
        nn.LSTMCell(3, 4, bias=False, forget_bias=1.0)
    x, h = tr.tensor(random(2, 3).astype("f")), tr.tensor(random(2, 4).astype("f"))
    with pytest.raises(ValueError, match=r"RNNCell\(3, 4\): x must have shape \(..., 3\), got \(2, 4\)"):
        nn.RNNCell(3, 4)(h)
    with pytest.raises(ValueError, match=r"h must have shape \(2, 4\), got \(2, 3\)"):
        nn.RNNCell(3, 4)(x, x)
    with pytest.raises(ValueError, match=r"c must have shape \(2, 4\), got \(1, 4\)"):
        nn.LSTMCell(3, 4)(x, (h, h[:1]))
    assert repr(nn.RNNCell(3, 4, bias=False, nonlinearity="relu")) == "RNNCell(3, 4, bias=False, nonlinearity=relu)"


def test_a_gru_step_by_its_equations():
    cell, rng = nn.GRUCell(3, 2, rng=0).to("float64"), np.random.default_rng(1)
    x, h = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    parts = [np.split(p.numpy(), 3) for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)]
    from_x = [x @ w.T + b for w, b in zip(parts[0], parts[2], strict=True)]
    from_h = [h @ w.T + b for w, b in zip(parts[1], parts[3], strict=True)]
    r, z = sigmoid(from_x[0] + from_h[0]), sigmoid(from_x[1] + from_h[1])
    n = np.tanh(from_x[2] + r * from_h[2])
    expected = (1 - z) * n + z * h
    np.testing.assert_allclose(cell(tr.tensor(x), tr.tensor(h)).numpy(), expected, rtol=1e-12)
