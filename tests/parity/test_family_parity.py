"""MLP, highway net, small CNN and DnCNN against the same nets in PyTorch: loaded by key, logits and input gradients."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn
from tinyres.models.cnn import cnn
from tinyres.models.dncnn import dncnn
from tinyres.models.highway import highway, highway_mlp
from tinyres.models.mlp import mlp

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
TOL = {"rtol": 1e-10, "atol": 1e-10}
T = torch.nn


class Residual(T.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


class Highway(T.Module):
    def __init__(self, branch, gate):
        super().__init__()
        self.branch, self.gate = branch, gate

    def forward(self, x):
        return torch.lerp(x, self.branch(x), torch.sigmoid(self.gate(x)))


class Net(T.Module):
    def __init__(self, stem, blocks, head, denoises=False):
        super().__init__()
        self.stem, self.blocks, self.head, self.denoises = stem, T.Sequential(*blocks), head, denoises

    def forward(self, x):
        y = self.head(self.blocks(self.stem(x)))
        return x - y if self.denoises else y


def conv(a, b, k=3, **settings):
    return T.Conv2d(a, b, k, padding=k // 2, **settings)


def seq(*layers):
    return T.Sequential(*layers)


def fully_connected(block, n):
    return Net(seq(T.Flatten(), T.Linear(64, 12), T.ReLU()), [block() for _ in range(n)], T.Linear(12, 10))


def plain_mlp():
    return fully_connected(lambda: seq(T.Linear(12, 12), T.ReLU()), 3)


def residual_mlp():
    return fully_connected(lambda: Residual(seq(T.Linear(12, 12), T.ReLU(), T.Linear(12, 12))), 3)


def highway_fc():
    return fully_connected(lambda: Highway(seq(T.Linear(12, 12), T.ReLU()), T.Linear(12, 12)), 3)


def highway_conv():
    way = lambda c: Highway(seq(conv(c, c), T.ReLU()), conv(c, c))
    down = lambda c: seq(conv(c, 2 * c, stride=2), T.ReLU())
    blocks = [way(4), way(4), down(4), way(8), way(8), down(8), way(16), way(16)]
    return Net(seq(conv(1, 4), T.ReLU()), blocks, seq(T.AdaptiveAvgPool2d(1), T.Flatten(), T.Linear(16, 10)))


def small_cnn():
    stem = seq(conv(1, 3, 5), T.ReLU(), T.MaxPool2d(2))
    blocks = [seq(conv(3, 6, 5), T.ReLU(), T.MaxPool2d(2)), seq(T.Flatten(), T.Linear(24, 96), T.ReLU())]
    return Net(stem, blocks, seq(T.Dropout(0.0), T.Linear(96, 10)))


def denoiser():
    block = lambda: seq(conv(6, 6, bias=False), T.BatchNorm2d(6, eps=1e-4, momentum=0.05), T.ReLU())
    stem, head = seq(conv(1, 6), T.ReLU()), conv(6, 1, bias=False)
    return Net(stem, [block() for _ in range(3)], head, denoises=True)


PAIRS = {
    "mlp": (lambda: mlp(5, 12, in_channels=1, bias_variance=0.1, rng=0), plain_mlp),
    "residual mlp": (lambda: mlp(8, 12, in_channels=1, residual=True, bias_variance=0.1, rng=0), residual_mlp),
    "highway": (lambda: highway(10, 4, in_channels=1, gate_bias=-1.0, rng=0), highway_conv),
    "highway mlp": (lambda: highway_mlp(5, 12, in_channels=1, gate_bias=-1.0, rng=0), highway_fc),
    "cnn": (lambda: cnn(width=3, in_channels=1, dropout=0.0, rng=0), small_cnn),
    "dncnn": (lambda: dncnn(5, 6, rng=0), denoiser),
}


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize(("make", "twin"), PAIRS.values(), ids=PAIRS)
def test_logits_and_input_gradients(make, twin, mode):
    rng = np.random.default_rng(0)
    ours, theirs = make().to("float64"), twin().double()
    for name, buffer in ours.named_buffers():  # statistics as after some training
        if name.endswith(("running_mean", "running_var")):
            buffer.data = rng.uniform(0.5, 1.5, buffer.shape) - name.endswith("mean")
    theirs.load_state_dict({k: torch.tensor(v.numpy().copy()) for k, v in ours.state_dict().items()})
    ours.train(mode == "train")
    theirs.train(mode == "train")
    x = rng.normal(size=(4, 1, 8, 8))
    mine, other = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(mine), theirs(other)
    np.testing.assert_allclose(y.detach().numpy(), z.numpy(force=True), **TOL)
    g = rng.normal(size=y.shape)
    grads = tr.grad(y, [mine, *ours.parameters()], g)
    names = [name for name, _ in ours.named_parameters()]
    theirs_by_name = dict(theirs.named_parameters())
    want = torch.autograd.grad(z, [other, *(theirs_by_name[name] for name in names)], torch.tensor(g))
    for name, a, b in zip(["x", *names], grads, want, strict=True):
        assert b.abs().max() > 0, name
        np.testing.assert_allclose(a.numpy(), b.numpy(force=True), **TOL, err_msg=name)
    for name, value in theirs.state_dict().items():  # running statistics, too
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), **TOL, err_msg=name)


@pytest.mark.parametrize(("make", "twin"), PAIRS.values(), ids=PAIRS)
def test_the_keys_are_pytorchs(make, twin):
    ours, theirs = make().state_dict(), twin().state_dict()
    assert list(ours) == list(theirs)
    assert [v.shape for v in ours.values()] == [tuple(v.shape) for v in theirs.values()]


def test_dropouts_place_in_the_cnn():
    """With p = 1 only the last bias is left, in both."""
    ours, theirs = cnn(width=3, in_channels=1, dropout=1.0, rng=0).to("float64"), small_cnn().double()
    theirs.head[0].p = 1.0
    theirs.load_state_dict({k: torch.tensor(v.numpy().copy()) for k, v in ours.state_dict().items()})
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8))
    np.testing.assert_allclose(ours(tr.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy(force=True), **TOL)
    assert isinstance(ours.head[0], nn.Dropout)
