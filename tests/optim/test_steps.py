"""Optimisers: ten steps of each against the same ten written out by hand, on every rung. No other library is needed."""

import math
from functools import partial

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, optim
from tinyres.arrays import KERNEL_SETS
from tinyres.arrays.dispatch import kernel_module

START = np.array([0.5, -1.0, 2.0])
GRADIENTS = np.random.default_rng(0).normal(0.3, 1.0, (10, 3))  # a step, an entry

# -- by hand: one entry, plain numbers ------------------------------------------------------------------------------


def sgd(p, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    b = None
    for g in gradients:
        g = g + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        p = p - lr * (g + momentum * b if nesterov else b)
    return p


def adam(p, gradients, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        p = p - lr * (m / (1 - betas[0] ** t)) / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
    return p


def rmsprop(p, gradients, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    v = a = b = 0.0
    for g in gradients:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g * g
        a = alpha * a + (1 - alpha) * g
        b = momentum * b + g / (math.sqrt(v - a * a if centered else v) + eps)
        p = p - lr * b
    return p


SETTINGS = [
    (optim.SGD, sgd, {"lr": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "weight_decay": 0.2}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.2}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.2, "nesterov": True}),
    (optim.Adam, adam, {"lr": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 0.1}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.3}),
    (optim.AdamW, adam, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.3}),
    (optim.RMSprop, rmsprop, {"lr": 0.05}),
    (optim.RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.8, "eps": 0.1, "weight_decay": 0.3}),
    (optim.RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.8, "momentum": 0.7}),
    (optim.RMSprop, rmsprop, {"lr": 0.05, "alpha": 0.8, "momentum": 0.7, "centered": True}),
]
NAMES = [", ".join([kind.__name__, *(name for name in how if name != "lr")]) for kind, _, how in SETTINGS]


def ten_steps(optimizer, gradients=GRADIENTS):
    (p,) = optimizer.params
    for g in gradients:
        p.grad = tr.tensor(g.astype(p.dtype))
        optimizer.step()
    return p.data


@pytest.mark.parametrize("rung", KERNEL_SETS)
@pytest.mark.parametrize(("kind", "by_hand", "how"), SETTINGS, ids=NAMES)
def test_ten_steps(kind, by_hand, how, rung):
    if kind is optim.AdamW:
        expected = [by_hand(p, GRADIENTS[:, i], **how, decoupled=True) for i, p in enumerate(START)]
    else:
        expected = [by_hand(p, GRADIENTS[:, i], **how) for i, p in enumerate(START)]
    with tr.kernels(rung):
        found = ten_steps(kind([nn.Parameter(START.copy())], **how))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_defaults_are_those_of_the_papers_and_of_pytorch():
    defaults = {kind: kind([nn.Parameter([0.0])]).defaults for kind in (optim.SGD, optim.Adam)}
    assert defaults[optim.Adam] == {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    assert (
        defaults[optim.SGD]["momentum"] == defaults[optim.SGD]["dampening"] == defaults[optim.SGD]["weight_decay"] == 0
    )
    assert optim.AdamW([nn.Parameter([0.0])]).weight_decay == 0.01
    assert optim.RMSprop([nn.Parameter([0.0])]).alpha == 0.99


# -- on paper: a gradient that stays the same ------------------------------------------------------------------------
ONES = np.ones((10, 1))


def at(value):
    return [nn.Parameter(np.array([value]))]


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_each_step_of_adam_is_its_rate_whatever_the_gradients_size(scale):
    """Without its bias corrections the first step would be sqrt(1 - b2) / (1 - b1) = 0.32 of that, or 3.2 times."""
    found = ten_steps(optim.Adam(at(1.0), lr=0.01, eps=0.0), scale * ONES)
    np.testing.assert_allclose(found, [1 - 10 * 0.01], rtol=1e-12)


def test_momentum_sums_a_geometric_series():
    """The buffer after t steps is 1 + m + ... + m^(t-1) = (1 - m^t) / (1 - m), and the way their sum."""
    m = 0.9
    way = sum((1 - m**t) / (1 - m) for t in range(1, 11))  # 41.4, where plain descent goes 10
    np.testing.assert_allclose(ten_steps(optim.SGD(at(0.0), lr=0.1, momentum=m), ONES), [-0.1 * way], rtol=1e-12)
    nesterov = optim.SGD(at(0.0), lr=0.1, momentum=m, nesterov=True)
    np.testing.assert_allclose(ten_steps(nesterov, ONES), [-0.1 * (10 + m * way)], rtol=1e-12)


def test_weight_decay_alone_shrinks_by_a_factor_a_step_only_where_it_is_decoupled():
    """Adam scales the decay that comes with the gradient away: each step is then its rate."""
    zeros = np.zeros((10, 1))
    decoupled = optim.AdamW(at(2.0), lr=0.1, weight_decay=0.5)
    np.testing.assert_allclose(ten_steps(decoupled, zeros), [2 * 0.95**10], rtol=1e-12)
    np.testing.assert_allclose(
        ten_steps(optim.SGD(at(2.0), lr=0.1, weight_decay=0.5), zeros), [2 * 0.95**10], rtol=1e-12
    )
    coupled = ten_steps(optim.Adam(at(2.0), lr=0.1, eps=0.0, weight_decay=0.5), zeros[:1])
    np.testing.assert_allclose(coupled, [2 - 0.1], rtol=1e-12)


def test_rmsprop_begins_at_a_steps_rate_by_the_root_of_one_less_alpha():
    """It corrects no bias: its first step is lr / sqrt(1 - alpha)."""
    found = ten_steps(optim.RMSprop(at(0.0), lr=0.01, alpha=0.96, eps=0.0), ONES[:1])
    np.testing.assert_allclose(found, [-0.01 / 0.2], rtol=1e-12)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
def test_a_model_converted_after_a_step_goes_on_and_so_does_a_gradient_of_another_dtype(kind):
    layer = tr.nn.Linear(2, 3, rng=0)
    optimizer = kind(layer.parameters(), lr=0.1, **({} if "Adam" in kind.__name__ else {"momentum": 0.9}))
    layer.weight.grad = tr.tensor(np.ones((3, 2)))
    layer.bias.grad = tr.tensor(np.ones(3, np.float16))
    before = layer.weight.numpy().copy()
    optimizer.step()
    assert layer.weight.dtype == layer.bias.dtype == tr.float32
    assert (layer.weight.numpy() < before).all()
    layer.to("float64")
    optimizer.zero_grad()
    layer(tr.ones(1, 2, dtype="float64")).sum().backward()
    optimizer.step()
    assert layer.weight.dtype == tr.float64
    assert {a.dtype for state in optimizer.state for a in state.values() if hasattr(a, "shape")} == {tr.float64}


@pytest.mark.parametrize("most", [0, 10, 1 << 19])
@pytest.mark.parametrize(("make", "op"), [(optim.AdamW, "adam"), (partial(optim.SGD, momentum=0.9), "sgd")])
def test_an_optimiser_takes_as_many_parameters_at_a_time_as_wait_and_all_of_them(monkeypatch, make, op, most):
    """Old and new arrays are in memory together only as long as parameters wait."""
    kernels = kernel_module("cpu")
    usual, sizes = kernels.MANY[op], []

    def launch(steps, *more):
        sizes.append(sum(step[0].size for step in steps))
        usual.launch(steps, *more)

    monkeypatch.setitem(kernels.MANY, op, usual._replace(launch=launch, most=most))
    rng, found = np.random.default_rng(0), []
    arrays = [rng.standard_normal(n) for n in (4, 3, 9, 1, 20, 2)]
    for together in (True, False):
        params = [nn.Parameter(a.copy()) for a in arrays]
        optimizers = [make(params)] if together else [make([p]) for p in params]
        for _ in range(2):
            for p, a in zip(params, arrays, strict=True):
                p.grad = tr.tensor(a * 2)
            for optimizer in optimizers:
                optimizer.step()
        found.append([p.numpy() for p in params])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    expected = {0: [4, 3, 9, 1, 20, 2], 10: [16, 21, 2], 1 << 19: [39]}[most]
    assert sizes[: len(expected)] == expected
