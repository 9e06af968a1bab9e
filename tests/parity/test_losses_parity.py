"""Losses against PyTorch in float64: values, gradients, gradients of gradients, settings and buffers."""

import numpy as np
import pytest

import tinyres as tr
from tests.parity.derivatives import TOL, orders
from tinyres import nn
from tinyres.ops import losses

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


LOSSES = {
    "cross_entropy": ((5, 4), "class"),
    "nll_loss": ((5, 4, 2, 3), "class"),
    "binary_cross_entropy": ((5, 4), "soft"),
    "binary_cross_entropy_with_logits": ((5, 4), "soft"),
    "mse_loss": ((5, 4), "soft"),
    "l1_loss": ((5, 4), "soft"),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    shape, kind = LOSSES[name]
    rng = np.random.default_rng(3)
    target = rng.integers(0, 4, (shape[0], *shape[2:])) if kind == "class" else rng.uniform(0, 1, shape)
    squash = name == "binary_cross_entropy"  # its input must be probabilities

    def ours(z):
        return getattr(losses, name)(tr.sigmoid(z) if squash else z, target, reduction=reduction)

    def theirs(z):
        z = torch.sigmoid(z) if squash else z
        return getattr(torch.nn.functional, name)(z, torch.tensor(target), reduction=reduction)

    ours.parameters = theirs.parameters = list
    orders(ours, theirs, shape)


def test_binary_cross_entropy_limits_its_logarithms_as_pytorch_does():
    p, t = np.array([0.0, 1.0, 0.0, 1.0, 1e-60]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    want = torch.nn.functional.binary_cross_entropy(torch.tensor(p), torch.tensor(t), reduction="none")
    np.testing.assert_allclose(
        losses.binary_cross_entropy(tr.tensor(p), t, reduction="none").numpy(), want.numpy(), **TOL
    )


LOSS_MODULES = {
    "CrossEntropyLoss": ({"weight": "classes", "label_smoothing": 0.2}, "class"),
    "NLLLoss": ({"weight": "classes", "ignore_index": 1}, "class"),
    "BCELoss": ({"weight": "classes"}, "soft"),
    "BCEWithLogitsLoss": ({"weight": "classes", "pos_weight": "classes"}, "soft"),
    "HuberLoss": ({"delta": 0.5}, "soft"), "SmoothL1Loss": ({"beta": 0.5}, "soft"),
    "KLDivLoss": ({"reduction": "batchmean"}, "soft"), "MSELoss": ({}, "soft"),
    "L1Loss": ({"reduction": "sum"}, "soft"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSS_MODULES)
def test_loss_modules_take_the_same_settings_and_hold_the_same_buffers(name):
    settings, kind = LOSS_MODULES[name]
    rng = np.random.default_rng(3)
    target = rng.integers(0, 4, 5) if kind == "class" else rng.uniform(0, 1, (5, 4))
    weight = rng.uniform(0.5, 2, 4)
    made = []
    for lib, tensor in ((nn, tr.tensor), (torch.nn, torch.tensor)):
        given = {k: tensor(weight) if v == "classes" else v for k, v in settings.items()}
        made.append(getattr(lib, name)(**given))
    assert list(made[0].state_dict()) == list(made[1].state_dict())
    squash = name == "BCELoss"

    def ours(z):
        return made[0](tr.sigmoid(z) if squash else z, tr.tensor(target))

    def theirs(z):
        return made[1](torch.sigmoid(z) if squash else z, torch.tensor(target))

    ours.parameters = theirs.parameters = list
    if squash:  # PyTorch's second derivative of it is off by 1e-12 / (p (1 - p)): the first one
        x = rng.normal(size=(5, 4))
        leaf, their_leaf = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        ours(leaf).backward()
        theirs(their_leaf).backward()
        np.testing.assert_allclose(leaf.grad.numpy(), their_leaf.grad.numpy(), **TOL)
    else:
        orders(ours, theirs, (5, 4))


def test_of_the_second_derivative_of_binary_cross_entropy_ours_is_exact():
    p, t = np.array([0.02, 0.4, 0.99]), np.array([0.7, 0.2, 0.6])
    exact = t / p.astype(np.longdouble) ** 2 + (1 - t) / (1 - p.astype(np.longdouble)) ** 2
    x, z = tr.tensor(p, requires_grad=True), torch.tensor(p, requires_grad=True)
    (g,) = tr.grad(losses.binary_cross_entropy(x, t, reduction="sum"), [x], create_graph=True)
    loss = torch.nn.functional.binary_cross_entropy(z, torch.tensor(t), reduction="sum")
    (h,) = torch.autograd.grad(loss, z, create_graph=True)
    ours, theirs = tr.grad(g.sum(), [x])[0].numpy(), torch.autograd.grad(h.sum(), z)[0].numpy()
    np.testing.assert_allclose(ours, exact.astype(float), rtol=1e-14)
    assert 1e-12 < (abs(theirs - exact) / exact).max() < 1e-9
