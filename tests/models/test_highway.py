"""Highway layers and nets: closed gates, open gates, routes, the law of the squared gain."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.highway import highway, highway_mlp


def layer(n=6, bias=None, seed=0):
    rng = np.random.default_rng(seed)
    gate = nn.Linear(n, n, rng=rng)
    if bias is not None:
        nn.init.zeros_(gate.weight)
        nn.init.constant_(gate.bias, bias)
    return nn.Highway(nn.Sequential(nn.Linear(n, n, rng=rng), nn.Tanh()), gate).to("float64")


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("bias", [-np.inf, -1e4])
def test_a_closed_gate_is_the_identity_to_the_last_bit(bias):
    x, g = tr.tensor(random(3, 6), requires_grad=True), random(3, 6, seed=1)
    y = layer(bias=bias)(x)
    np.testing.assert_array_equal(y.numpy(), x.numpy())
    (dx,) = tr.grad(y, [x], g)
    np.testing.assert_array_equal(dx.numpy(), g)


def test_an_open_gate_is_the_branch():
    x, way = tr.tensor(random(3, 6)), layer(bias=np.inf)
    np.testing.assert_array_equal(way(x).numpy(), way.branch(x).numpy())


def test_the_equation_and_its_gradient():
    x, way = tr.tensor(random(3, 6)), layer()
    t = 1 / (1 + np.exp(-way.gate(x).numpy()))
    np.testing.assert_allclose(way(x).numpy(), t * way.branch(x).numpy() + (1 - t) * x.numpy(), rtol=1e-14)
    tr.gradcheck(way, [random(3, 6)], order=2)


class Edges(tr.Observer):
    """Contributions to one node: by which route they came, as the tape's names and roles tell."""

    def __init__(self, node):
        self.node, self.routes = node, {}

    def on_edge(self, consumer, arg_index, producer, contribution):
        if producer is self.node:
            first = (consumer.path or "").partition(".")[0]
            role = first or consumer.roles[arg_index]
            assert role not in self.routes
            self.routes[role] = contribution


def test_the_three_routes_can_be_told_apart_and_add_up():
    x, way, g = tr.tensor(random(3, 6), requires_grad=True), layer(), random(3, 6, seed=1)
    y = way(x)
    assert y.node.roles == ("branch", "skip")
    with Edges(x.node) as edges:
        (dx,) = tr.grad(y, [x], g)
    assert set(edges.routes) == {"branch", "gate", "skip"}
    t = 1 / (1 + np.exp(-way.gate(x).numpy()))
    np.testing.assert_allclose(edges.routes["skip"], (1 - t) * g, rtol=1e-14)
    np.testing.assert_allclose(sum(edges.routes.values()), dx.numpy(), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("bias", [0.0, -1.0, -2.0, -3.0])
def test_squared_gain_with_zero_gate_weights_and_a_branch_of_unit_gain(bias):
    """(1 - T)² + T² a layer (E11), the geometric mean over 10 seeds within 3 % a layer."""
    n, depth, logs = 256, 10, []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        net = nn.Sequential()
        for _ in range(depth):
            way = nn.Highway(nn.Linear(n, n, bias=False), nn.Linear(n, n))
            nn.init.normal_(way.branch.weight, std=n**-0.5, rng=rng)
            nn.init.zeros_(way.gate.weight)
            nn.init.constant_(way.gate.bias, bias)
            net.append(way)
        x = tr.tensor(rng.standard_normal((1, n)), requires_grad=True)
        g = rng.standard_normal((1, n))
        (dx,) = tr.grad(net.to("float64")(x), [x], g)
        logs.append(np.log((dx.numpy() ** 2).sum() / (g**2).sum()) / depth)
    t = 1 / (1 + np.exp(-bias))
    assert np.exp(np.mean(logs)) == pytest.approx((1 - t) ** 2 + t**2, rel=0.03)


def test_shapes_that_differ_are_refused():
    way = nn.Highway(nn.Linear(4, 4), nn.Linear(4, 1))
    with pytest.raises(ValueError, match=r"must agree in shape, got \(2, 4\), \(2, 4\) and \(2, 1\)"):
        way(tr.tensor(random(2, 4).astype("f")))


def test_what_stands_in_the_blocks():
    model = highway(13, 4, gate_bias=-3.0, rng=0)
    ways = [isinstance(block, nn.Highway) for block in model.blocks]
    assert ways == [True] * 3 + [False] + [True] * 3 + [False] + [True] * 3
    layers = [m for name, m in model.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "gate" not in name]
    assert len(layers) == 13
    gates = [m for name, m in model.named_modules() if name.endswith("gate")]
    assert len(gates) == 9
    assert all((gate.bias.numpy() == -3).all() for gate in gates)
    assert len(list(highway_mlp(11, 8).blocks)) == 9


def test_with_all_gates_closed_only_the_plain_layers_are_left():
    model = highway(10, 4, gate_bias=-np.inf, rng=0)
    x = tr.tensor(random(2, 3, 8, 8).astype("f"))
    h = model.stem(x)
    for block in model.blocks:
        h = h if isinstance(block, nn.Highway) else block(h)
    np.testing.assert_array_equal(model(x).numpy(), model.head(h).numpy())


def test_variances_before_a_relu_and_before_nothing():
    net = highway_mlp(3, 400, rng=0)
    for layer, variance in ((net.stem[1], 2), (net.blocks[0].branch[0], 2), (net.head, 1)):
        assert layer.weight.numpy().var() * layer.weight.shape[1] == pytest.approx(variance, rel=0.08)
