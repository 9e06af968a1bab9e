"""Cotangents that are known to be 0: no rule runs behind them, and whoever asks for one gets zeros."""

import gc
from itertools import permutations

import numpy as np
import pytest

import tinyres as tr
from tests.autograd.leaves import leaf
from tinyres import nn
from tinyres.autograd.calling import define
from tinyres.context import Observer


def counted():
    """The identity, and a list that grows each time its rule runs.

    Hooks on tensors that another test has left as garbage would switch the engine's shortcuts off.
    """
    gc.collect()
    ran = []
    op = define(lambda x: x.copy())
    op.vjp(x=lambda g: (ran.append(1), g)[1])
    return op, ran


def test_no_rule_runs_behind_a_mask():
    op, ran = counted()
    x, v = leaf(4), leaf(4)
    hidden = op(x)
    (slope,) = tr.grad(tr.leaky_relu(hidden, 0.2), hidden, v, create_graph=True)  # v where hidden > 0, else 0.2 v
    gx, gv = tr.grad((slope * slope).sum(), [x, v])
    assert not ran
    np.testing.assert_array_equal(gx.numpy(), np.zeros(4))
    assert gx.dtype == x.dtype
    mask = np.where(x.numpy() > 0, 1, 0.2)
    np.testing.assert_allclose(gv.numpy(), 2 * mask**2 * v.numpy())


@pytest.mark.parametrize("order", list(permutations(["sign", "mul", "square"])), ids="-".join)
def test_zeros_and_others_may_come_in_any_order(order):
    """The youngest has its turn first."""
    op, ran = counted()
    x = leaf(3)
    shared = op(x)
    made = {"sign": tr.sign, "mul": lambda a: 3 * a, "square": tr.square}
    parts = [made[name](shared) for name in order]
    (g,) = tr.grad((parts[0] + parts[1] + parts[2]).sum(), x)
    np.testing.assert_allclose(g.numpy(), 3 + 2 * x.numpy())
    assert ran == [1]


def test_backward_fills_leaves_with_zeros_and_can_add_to_them():
    x = leaf(2, 3)
    tr.sign(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((2, 3)))
    (2 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((2, 3), 2.0))


def test_an_operation_under_other_kernels_adds_to_zeros():
    x = leaf(1, 1, 3, 3)
    image = x * 1.0
    with tr.kernels("im2col"):
        y = tr.conv2d(image, tr.tensor(np.ones((1, 1, 1, 1))))
    for total in (
        tr.sign(image).sum() + y.sum() + (2 * image).sum(),
        y.sum() + (2 * image).sum() + tr.sign(image).sum(),
    ):
        np.testing.assert_allclose(tr.grad(total, x, retain_graph=True)[0].numpy(), np.full((1, 1, 3, 3), 3.0))


class Watching(Observer):
    def __init__(self):
        self.edges = 0

    def on_edge(self, consumer, arg_index, producer, contribution):
        self.edges += 1


def test_a_penalty_is_the_same_to_the_last_bit_while_somebody_watches():
    """An observer is shown every edge, so with one all rules run."""
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1, rng=0), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, groups=2, rng=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, 1, rng=2),
    )  # fmt: skip
    x = tr.tensor(np.random.default_rng(0).standard_normal((3, 2, 4, 4)).astype(np.float32), requires_grad=True)

    def gradients():
        (slope,) = tr.grad(net(x).sum(), x, create_graph=True)
        return tr.grad((slope * slope).sum() + net(x).mean(), [x, *net.parameters()])

    alone = gradients()
    with Watching() as watching:
        watched = gradients()
    assert watching.edges
    for a, b in zip(alone, watched, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert a.shape == b.shape


def test_hooks_see_the_zeros():
    seen = []
    x = leaf(3)
    hidden = 2 * x
    hidden.register_hook(lambda g: seen.append(g.numpy().copy()))
    tr.grad(tr.sign(hidden).sum(), x)
    np.testing.assert_array_equal(seen, [np.zeros(3)])
