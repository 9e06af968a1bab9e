"""Hooks against PyTorch's: the order in which they run, what they see, and what they change."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

SIDES = {"ours": (tr, nn), "theirs": (torch, torch.nn)}


def number(g):
    return None if g is None else np.round(np.asarray(g.detach().numpy(), np.float64), 9).tolist()


def program(seed, library, hooked, log):
    """A random graph of leaves and sums, products and tanh, with hooks on some of its tensors; returns (leaves, y)."""
    rng = np.random.default_rng(seed)
    leaves = [library.tensor(rng.normal(size=3).tolist(), requires_grad=True) for _ in range(3)]
    tensors = list(leaves)
    for _ in range(8):
        a, b = (tensors[i] for i in rng.integers(len(tensors), size=2))
        kind = rng.integers(3)
        tensors.append(a * b if kind == 0 else a + b * 0.5 if kind == 1 else library.tanh(a))
    for i in rng.permutation(len(tensors))[:hooked]:
        factor = None if rng.random() < 0.5 else float(rng.normal())

        def hook(g, i=i, factor=factor):
            log.append((int(i), np.round(g.detach().numpy().astype(float), 4).tolist()))
            return None if factor is None else g * factor

        tensors[i].register_hook(hook)
    return leaves, (tensors[-1] * tensors[-2]).sum()


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed):
    logs, grads = [], []
    for library, _ in SIDES.values():
        log = []
        leaves, y = program(seed, library, 1 + seed % 6, log)
        y.backward()
        logs.append(log)
        grads.append([None if leaf.grad is None else leaf.grad.detach().numpy() for leaf in leaves])
    ours, theirs = grads
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None:
            np.testing.assert_allclose(mine, other, 1e-4, 1e-5)
    assert sorted(i for i, _ in logs[0]) == sorted(i for i, _ in logs[1])
    for (i, mine), (j, other) in zip(sorted(logs[0]), sorted(logs[1]), strict=True):
        assert i == j
        np.testing.assert_allclose(mine, other, 1e-3, 1e-3)
    # Two leaves that are complete at the same moment have no order between them.
    assert [i for i, _ in logs[0] if i >= 3] == [i for i, _ in logs[1] if i >= 3]


def chain(library, layers, log, factor):
    x = library.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
    first, second = layers.Linear(3, 4), layers.Linear(4, 3)
    rng = np.random.default_rng(0)
    for p in (*first.parameters(), *second.parameters()):
        p.data = library.tensor(rng.normal(size=tuple(p.shape)).astype(np.float32).tolist())
    net = layers.Sequential(first, layers.Tanh(), second)
    for name, module in net.named_modules():
        module.register_forward_pre_hook(lambda m, args, name=name: log.append(("pre", name, number(args[0]))))
        module.register_forward_hook(lambda m, args, y, name=name: log.append(("after", name, number(y))))
        module.register_full_backward_pre_hook(lambda m, go, name=name: log.append(("up", name, *map(number, go))))

        def backward(m, gi, go, name=name):
            log.append(("down", name, *map(number, gi), *map(number, go)))
            return (gi[0] * factor,) if name == "1" else None

        module.register_full_backward_hook(backward)
    second.register_forward_hook(lambda m, args, y: y * 2)
    x.register_hook(lambda g: log.append(("x", number(g))))
    for name, p in net.named_parameters():
        p.register_hook(lambda g, name=name: log.append((name, number(g))))
    return x, net


def kinds(log):
    return [entry[:2] for entry in log]


@pytest.mark.parametrize("factor", [1.0, -3.0])
def test_modules_in_a_row(factor):
    logs, grads = [], []
    for library, layers in SIDES.values():
        log = []
        x, net = chain(library, layers, log, factor)
        (net(x) ** 2).sum().backward()
        logs.append(log)
        grads.append([x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())])
    for mine, other in zip(*grads, strict=True):
        np.testing.assert_allclose(mine, other, 1e-5, 1e-5)
    modules = [[entry for entry in log if entry[0] in ("pre", "after", "up", "down", "x")] for log in logs]
    assert kinds(modules[0])[:-1] == kinds(modules[1])[:-1]
    for mine, other in zip(*modules, strict=True):
        for a, b in zip(mine, other, strict=True):
            if isinstance(a, list):
                np.testing.assert_allclose(a, b, 1e-4, 1e-4)
    assert sorted(name for name, *_ in logs[0]) == sorted(name for name, *_ in logs[1])


def test_second_order_through_a_hook():
    found = []
    for library, layers in SIDES.values():
        autograd = tr if library is tr else torch.autograd
        x = library.tensor([0.3, -0.7], requires_grad=True)
        layer = layers.Tanh()
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * go[0] * 3,))
        h = layer(x * 2)
        h.register_hook(lambda g: g * g)
        (first,) = autograd.grad((h * h * h).sum(), [x], create_graph=True)
        (second,) = autograd.grad((first * first).sum(), [x])
        found.append((first.detach().numpy(), second.detach().numpy()))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, 1e-4, 1e-5)
