"""Small networks whose traces the tests look at. Each gives the loss as a function, and the leaves by name."""

from __future__ import annotations

import numpy as np

import tinyres as tr
from tinyres import nn


def array(*shape, seed=0):
    return np.random.default_rng((7, seed)).standard_normal(shape)


def tensor(*shape, seed=0, **options):
    return tr.tensor(array(*shape, seed=seed), **options)


def residual():
    """A block with a projection as shortcut, behind one without."""
    branches = [nn.Sequential(nn.Linear(3, 3, rng=0), nn.Tanh(), nn.Linear(3, 3, rng=1)), nn.Linear(3, 2, rng=2)]
    projected = nn.Residual(branches[1], shortcut=nn.Linear(3, 2, rng=3))
    model = nn.Sequential(nn.Residual(branches[0]), projected).to("float64")
    x, weights = tensor(4, 3, requires_grad=True), tensor(4, 2, seed=1)

    def loss():
        y = model(x)
        return (y * y * weights).sum()

    return loss, {"x": x, **dict(model.named_parameters())}


def nested():
    """Two blocks, and a third that begins with another: one event completes two of the four rejoins."""

    def block(seed, *inner):
        return nn.Residual(nn.Sequential(*inner, nn.Linear(2, 2, rng=seed), nn.Tanh()))

    model = nn.Sequential(block(0, block(1)), block(2), block(3)).to("float64")
    x = tensor(1, 2, requires_grad=True)
    return lambda: (model(x) ** 2).sum(), {"x": x, **dict(model.named_parameters())}


def batch_norm():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, rng=0), nn.BatchNorm2d(3), nn.ReLU()).to("float64")
    x, weights = tensor(2, 2, 3, 3, requires_grad=True), tensor(2, 3, 3, 3, seed=1)
    return lambda: (model(x) * weights).sum(), {"x": x, **dict(model.named_parameters())}


def players():
    """D and G, and the losses of both."""
    D = nn.Sequential(nn.Linear(2, 4, rng=0), nn.LeakyReLU(0.2), nn.Linear(4, 1, rng=1)).to("float64")
    G = nn.Sequential(nn.Linear(3, 4, rng=2), nn.Tanh(), nn.Linear(4, 2, rng=3)).to("float64")
    real, noise = tensor(5, 2), tensor(5, 3, seed=1)

    def d_loss():
        return tr.softplus(-D(real)).mean() + tr.softplus(D(G(noise).detach())).mean()

    def g_loss():
        return tr.softplus(-D(G(noise))).mean()

    return d_loss, g_loss, D, G


def penalty():
    """A loss with a gradient in it, as a gradient penalty is."""
    D = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1)).to("float64")
    x = tensor(3, 2, requires_grad=True)

    def loss():
        (slope,) = tr.grad(D(x).sum(), x, create_graph=True)
        return ((slope * slope).sum() - 1.0) ** 2

    return loss, {"x": x, **{n: p for n, p in D.named_parameters() if n != "2.bias"}}


def penalty_with_norm():
    """The same through a fused operation, whose reference is replayed where nobody watches."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.Tanh()).to("float64")
    x = tensor(2, 1, 4, 4, requires_grad=True)

    def loss():
        y = model(x)
        (slope,) = tr.grad((y * y * y).sum(), x, create_graph=True)
        return (slope * slope).sum()

    return loss, {"x": x, **dict(model.named_parameters())}


def checkpointed():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 3, rng=1)).to("float64")
    x = tensor(2, 3, requires_grad=True)

    def loss():
        h = tr.checkpoint(model, x * 2.0)
        return (h * h).sum()

    return loss, {"x": x, **dict(model.named_parameters())}


def scalars():
    """Python's numbers, integers, no dimensions, one tensor used twice."""
    w, picks = tr.tensor(3.0, requires_grad=True), tr.tensor(np.array([2, 0, 1]))
    table = tensor(3, 2, requires_grad=True)
    return lambda: w * w * 2 + tr.cross_entropy(table[picks], tr.tensor(np.array([0, 1, 1]))), {"w": w, "table": table}


def empty():
    x = tr.tensor(np.zeros((0, 3)), requires_grad=True)
    w = tensor(3, 2, requires_grad=True)
    return lambda: (x @ w).sum() + (w * w).sum(), {"x": x, "w": w}


def highway():
    model = nn.Highway(nn.Linear(3, 3, rng=0), nn.Linear(3, 3, rng=1)).to("float64")
    x = tensor(2, 3, requires_grad=True)
    return lambda: (model(x) * tensor(2, 3, seed=1)).sum(), {"x": x, **dict(model.named_parameters())}


def joined():
    """A variadic operation."""
    a, b = tensor(2, 2, requires_grad=True), tensor(3, 2, seed=1, requires_grad=True)
    return lambda: (tr.concatenate([a, b, a]) ** 2).sum(), {"a": a, "b": b}


ONE_LOSS = [
    residual, batch_norm, penalty, penalty_with_norm, checkpointed, scalars, empty, highway, joined,
]  # fmt: skip
